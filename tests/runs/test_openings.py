"""How often results on the same test images were opened, whatever folders the runs have."""

import json
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from vitrail.core.digest_json import add_digest
from vitrail.core.machine import config_folder
from vitrail.core.progress import Silent
from vitrail.runs.journal import Journal
from vitrail.runs.openings import LEDGER, SKETCHED, Opening, read_ledger, record_opening, say_openings


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def ids(start: int, stop: int) -> list[str]:
    return [sha256(str(number).encode()).hexdigest() for number in range(start, stop)]


def open_test(folder: Path, test_ids: list[str], choices: str, notes: Silent | None = None):
    """An opening in a run folder of its own."""
    journal = Journal(folder / f"{choices}.jsonl")
    journal.start(f"run {choices}")
    return record_opening(journal, test_ids, choices, notes or Silent())


def ledger() -> Path:
    return config_folder() / LEDGER


def test_the_tenth_run_on_the_same_test_images_says_so_whatever_its_folder(tmp_path: Path) -> None:
    counts = [open_test(tmp_path, ids(0, 100), f"choices {number}").count for number in range(10)]
    assert counts == list(range(1, 11))


def test_one_image_more_does_not_reset_the_count(tmp_path: Path) -> None:
    assert open_test(tmp_path, ids(0, 2_000), "a").count == 1
    assert open_test(tmp_path, ids(0, 2_001), "b").count == 2
    assert open_test(tmp_path, ids(1, 2_001), "c").count == 3


def test_the_same_choices_of_the_same_run_count_once(tmp_path: Path) -> None:
    open_test(tmp_path, ids(0, 100), "a")
    assert open_test(tmp_path, ids(0, 100), "a").count == 1
    assert len(read_ledger(ledger()).openings) == 1
    open_test(tmp_path, ids(0, 100), "b")
    assert open_test(tmp_path, ids(0, 100), "a").count == 2


def test_other_test_images_count_for_themselves(tmp_path: Path) -> None:
    """As after another seed of the split, where a fifth of the images are in both."""
    open_test(tmp_path, ids(0, 1_000), "a")
    assert open_test(tmp_path, ids(800, 1_800), "b").count == 1


def test_a_small_test_that_was_part_of_a_large_one_was_opened_and_not_the_other_way_round(tmp_path: Path) -> None:
    open_test(tmp_path, ids(0, 10_000), "a")
    assert open_test(tmp_path, ids(2_000, 3_000), "b").count == 2
    assert open_test(tmp_path, ids(2_900, 12_900), "c").count == 2  # of the first, not of the second


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_the_estimate_of_a_share_is_as_exact_as_stated(share: float) -> None:
    """500 pairs of test sets of 20,000 images that share so many: within 1.96 standard errors 95 times of 100."""
    draws, n = np.random.default_rng(0), 20_000
    errors = []
    for _ in range(500):
        number_U = draws.integers(0, 2**48, size=round(2 * n - share * n))
        earlier, later = number_U[:n], number_U[-n:]
        sketch = tuple(f"{number:012x}" for number in np.sort(earlier)[:SKETCHED])
        opening = Opening(time="", run="", choices="", images=n, sketch=sketch)
        reach = later[later <= int(sketch[-1], 16)]
        errors.append(opening.share_of([f"{number:012x}" for number in reach]) - share)
    stated = 1.96 * np.sqrt(share * (1 - share) / SKETCHED)
    assert 0.92 <= np.mean(np.abs(errors) <= stated) <= 0.98
    if share == 0.5:
        assert round(100 * stated, 1) in (4.3, 4.4)


def test_a_share_of_few_images_is_exact() -> None:
    sketch = tuple(sorted(example[:12] for example in ids(0, 512)))
    opening = Opening(time="", run="", choices="", images=512, sketch=sketch)
    assert opening.share_of(ids(128, 640)) == 0.75


def test_the_ledger_holds_no_path_no_name_and_no_label(tmp_path: Path) -> None:
    open_test(tmp_path, ids(0, 600), "a")
    (line,) = ledger().read_text().splitlines()
    document = json.loads(line)
    assert set(document) == {"format", "time", "run", "choices", "images", "sketch", "digest"}
    assert document["images"] == 600
    assert document["sketch"] == sorted(example[:12] for example in ids(0, 600))[:SKETCHED]
    assert len(line) < 10_000


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", '{"format": 1}', '{"format": 1, "time": 3, "run": "", "choices": "", "images": 1, "sketch": []}'],
)
def test_damaged_lines_are_set_aside_named_and_stop_nothing(damage: str, tmp_path: Path) -> None:
    open_test(tmp_path, ids(0, 100), "a")
    with ledger().open("a") as file:
        file.write(damage + "\n")
    notes = Notes()
    assert open_test(tmp_path, ids(0, 100), "b", notes).count == 2
    assert len(notes.lines) == 1
    assert notes.lines[0].endswith("are not counted: 2.")
    assert ledger().with_name(LEDGER + ".damaged").read_text() == damage + "\n"
    assert open_test(tmp_path, ids(0, 100), "c", notes).count == 3
    assert len(notes.lines) == 1


@pytest.mark.parametrize(("old", "new"), [('"format": 1', '"format": 3'), ('"time": "2', '"time": "1'), ('["0', '["1')])
def test_a_line_with_a_flipped_bit_is_set_aside_and_not_counted(old: str, new: str, tmp_path: Path) -> None:
    """A format that reads as a newer one would stay uncounted for ever, another date or image change what is said."""
    open_test(tmp_path, [f"{number:064x}" for number in range(100)], "a")
    assert old in ledger().read_text()
    ledger().write_text(ledger().read_text().replace(old, new, 1))
    notes = Notes()
    open_test(tmp_path, ids(0, 100), "b", notes)
    assert notes.lines[0].endswith("are not counted: 1.")


def test_a_line_cut_by_a_crash_loses_no_other(tmp_path: Path) -> None:
    open_test(tmp_path, ids(0, 100), "a")
    ledger().write_bytes(ledger().read_bytes() + b'{"format": 1, "ti\xff')
    assert open_test(tmp_path, ids(0, 100), "b").count == 2
    assert open_test(tmp_path, ids(0, 100), "c").count == 3


def test_lines_of_a_newer_format_stay(tmp_path: Path) -> None:
    ledger().parent.mkdir(parents=True, exist_ok=True)
    newer = json.dumps(add_digest({"format": 2, "new": True}))
    ledger().write_text(newer + "\n")
    notes = Notes()
    assert open_test(tmp_path, ids(0, 100), "a", notes).count == 1
    assert ledger().read_text().splitlines()[0] == newer
    assert notes.lines == []


def test_a_ledger_that_cannot_be_written_is_one_note_and_the_folder_is_counted(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VITRAIL_CONFIG", str(tmp_path / "file" / "config"))
    notes = Notes()
    journal = Journal(tmp_path / "log.jsonl")
    journal.start("run")
    assert record_opening(journal, ids(0, 100), "a", notes).count == 1
    assert record_opening(journal, ids(0, 100), "b", notes).count == 2
    assert len(notes.lines) == 2
    assert "VITRAIL_CONFIG" in notes.lines[0]


def test_a_ledger_that_can_be_read_alone_is_still_counted(tmp_path: Path, monkeypatch) -> None:
    open_test(tmp_path, ids(0, 100), "a")
    monkeypatch.setattr("vitrail.runs.openings.put_in_place", lambda *_: (_ for _ in ()).throw(OSError("read-only")))
    notes = Notes()
    assert open_test(tmp_path, ids(0, 100), "b", notes).count == 2
    assert len(notes.lines) == 1


def test_many_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: open_test(tmp_path, ids(0, 50), f"c{number}"), range(24)))
    assert len(read_ledger(ledger()).openings) == 24
    assert open_test(tmp_path, ids(0, 50), "last").count == 25


def test_only_one_opening_is_nothing_to_warn_of() -> None:
    assert say_openings(1, "2026-11-02").endswith("after every choice was made.")
    assert say_openings(4, "2026-11-02") == (
        "Results on these test images were opened 4 times, each time with other choices (first on 2026-11-02): the "
        "more often you look at results and change options, the more the best figure is too high by chance."
    )
