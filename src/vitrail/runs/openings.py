"""How often results on the same test images were opened: a ledger in the config folder, whatever folders the runs have.

A line of `test-openings.jsonl` is one opening: when, of which run, with which choices, of how many test images, and a
sketch of their ids. It has no path, name or label. Its form:

    {"format": 1, "time": "2026-11-29T16:00:00+00:00", "run": "<64 digits>", "choices": "<64 digits>", "images": 2040,
     "sketch": ["<12 digits>", ...], "digest": "<64 digits, of the rest>"}

The sketch has the 512 smallest ids (a bottom-k sketch: Cohen and Kaplan 2007, PODC, 225-234). Ids are sha256 of the
images' bytes, so these are a random sample. Which share of a new test set was opened before is read off the new ids
within the reach of the sketch: exactly up to 512 images, and beyond within 4.4 points (95%, at a share of one half, for
tests of one size). An opening counts if it held half of the new test images or more.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from vitrail.core.bounded import read_bounded
from vitrail.core.digest_json import add_digest, parse_with_digest
from vitrail.core.machine import config_folder
from vitrail.core.progress import Progress
from vitrail.core.whole_files import put_in_place
from vitrail.runs.journal import OPENED, Journal

LEDGER = "test-openings.jsonl"
FORMAT: Literal[1] = 1
SKETCHED = 512
MOST_BYTES = 256 << 20  # of the ledger; an opening has 8 kB at most
DIGITS = 12  # 48 bits: two of 512 ids are taken for one less than once in a thousand million ledgers
SAME_TEST = 0.5
LOCK_SECONDS = 20.0  # a writer holds the lock for milliseconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """One line of the ledger."""

    format: Literal[1] = FORMAT
    time: str
    run: str
    choices: str
    images: int
    sketch: tuple[str, ...]

    def share_of(self, ids: Sequence[str]) -> float:
        """Which share of these test images it held; an estimate beyond 512 images."""
        known = set(self.sketch)
        short = [example[:DIGITS] for example in ids]
        if self.images > len(known):
            reach = max(known, default="")
            short = [example for example in short if example <= reach]
        return sum(example in known for example in short) / len(short) if short else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Openings:
    """With how many different choices these test images were opened so far, this time included, and the first date."""

    count: int
    first: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """The lines of the file: those that were read, all that stay, and the damaged ones by their number."""

    openings: tuple[Opening, ...]
    lines: tuple[str, ...]
    damaged: dict[int, str]


_OPENING = TypeAdapter(Opening)


def record_opening(journal: Journal, test_ids: Sequence[str], choices: str, progress: Progress) -> Openings:
    """Record in the log and in the ledger that the test labels are about to be opened.

    If the ledger cannot be written, a note says so and the run continues: openings known without it are counted.

    Args:
        journal: of the run.
        test_ids: the test images.
        choices: the digest of every choice made before.
        progress: receives the notes.

    Raises:
        RunError: the log could not be written.
    """
    in_folder = journal.record_opening(choices)
    opening = Opening(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        run=journal.identity() or "",
        choices=choices,
        images=len(test_ids),
        sketch=tuple(example[:DIGITS] for example in sorted(test_ids)[:SKETCHED]),
    )
    path = config_folder() / LEDGER
    try:
        known = _append(path, opening, progress)
    except OSError as error:
        progress.note(
            f"The ledger of openings {path} cannot be written ({error.strerror or error}), so later runs cannot count "
            "this opening: make it writable, or choose another place with VITRAIL_CONFIG."
        )
        known = _read_if_possible(path)
    same = [earlier for earlier in (*known, opening) if earlier.share_of(test_ids) >= SAME_TEST]
    times = [earlier.time for earlier in same] + [str(entry["time"]) for entry in journal.events(OPENED)]
    count = len({(earlier.run, earlier.choices) for earlier in same})
    return Openings(count=max(count, in_folder), first=min(times)[: len("2026-11-29")])


def say_openings(count: int, first: str) -> str:
    """How often results on the test images were opened, and what more than once means; `first` is a date."""
    if count == 1:
        return "The test split was opened once, after every choice was made."
    return (
        f"Results on these test images were opened {count:,} times, each time with other choices (first on {first}): "
        "the more often you look at results and change options, the more the best figure is too high by chance."
    )


def read_ledger(path: Path) -> Ledger:
    """Everything in the ledger, which need not exist.

    Lines of a newer format stay, and are not counted.

    Raises:
        OSError: it cannot be read.
    """
    try:
        lines = read_bounded(path, MOST_BYTES).decode(errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    openings, kept, damaged = [], [], {}
    for number, line in enumerate(lines, start=1):
        facts = parse_with_digest(line)
        try:
            openings.append(_OPENING.validate_python(facts))
        except ValidationError:
            if not _is_newer(facts):
                damaged[number] = line
                continue
        kept.append(line)
    return Ledger(openings=tuple(openings), lines=tuple(kept), damaged=damaged)


def _read_if_possible(path: Path) -> tuple[Opening, ...]:
    try:
        return read_ledger(path).openings
    except OSError:
        return ()


def _append(path: Path, opening: Opening, progress: Progress) -> tuple[Opening, ...]:
    """Add an opening that is not there yet, and set damaged lines aside.

    Returns:
        The openings that were there before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(path.name + ".lock"), timeout=LOCK_SECONDS):
        ledger = read_ledger(path)
        if ledger.damaged:
            _set_aside(path, ledger.damaged, progress)
        if any((known.run, known.choices) == (opening.run, opening.choices) for known in ledger.openings):
            added = []
        else:
            added = [json.dumps(add_digest(asdict(opening)))]
        if added or ledger.damaged:
            text = "".join(f"{line}\n" for line in (*ledger.lines, *added))
            put_in_place(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return ledger.openings


def _set_aside(path: Path, damaged: dict[int, str], progress: Progress) -> None:
    aside = path.with_name(path.name + ".damaged")
    with aside.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in damaged.values())
    numbers = ", ".join(str(number) for number in damaged)
    progress.note(
        f"Damaged lines of the ledger of openings {path} were moved to {aside.name} and are not counted: {numbers}."
    )


def _is_newer(facts: dict[str, Any] | None) -> bool:
    return facts is not None and isinstance(facts.get("format"), int) and facts["format"] > FORMAT
