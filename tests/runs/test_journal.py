import os
import shutil
from pathlib import Path

import pytest

from vitrail.core.errors import RunError
from vitrail.runs.folder import enter_folder
from vitrail.runs.journal import Journal


def test_a_line_cut_by_a_crash_is_skipped_and_the_next_line_is_complete(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    journal.start("abc")
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"event": "test split op')
    journal.write("features", backbone="a")
    assert journal.identity() == "abc"
    assert [entry["backbone"] for entry in journal.events("features")] == ["a"]


def test_an_opening_with_a_flipped_bit_is_passed_over(tmp_path: Path) -> None:
    """With other choices it would count as another opening."""
    journal = Journal(tmp_path / "log.jsonl")
    journal.start("abc")
    journal.record_opening("same")
    path = tmp_path / "log.jsonl"
    path.write_text(path.read_text().replace('"same"', '"came"'))
    assert journal.record_opening("same") == 1
    assert journal.identity() == "abc"


def test_an_opening_with_the_same_choices_counts_once_and_with_others_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    journal.start("abc")
    assert journal.record_opening("same") == 1
    assert journal.record_opening("same") == 1
    assert journal.record_opening("other") == 2


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be read"):
        Journal(tmp_path / "file" / "log.jsonl").start("abc")
    with pytest.raises(RunError, match="deleted or moved"):
        Journal(tmp_path / "log.jsonl").write("finished")


def test_a_first_line_that_could_not_be_written_whole_leaves_no_log(tmp_path: Path, monkeypatch) -> None:
    def fill_the_disk(self: Path, text: str, encoding: str) -> None:
        self.write_bytes(text.encode()[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", fill_the_disk)
        with pytest.raises(RunError, match="Free some disk space"), enter_folder(tmp_path / "run", "abc") as journal:
            journal.start("abc")
    assert not (tmp_path / "run").exists()
    with enter_folder(tmp_path / "run", "abc") as journal:
        journal.start("abc")
        assert journal.identity() == "abc"


def test_a_folder_deleted_while_the_run_is_under_way_is_one_sentence(tmp_path: Path) -> None:
    with enter_folder(tmp_path / "run", "abc") as journal:
        journal.start("abc")
        shutil.rmtree(tmp_path / "run")
        (tmp_path / "run" / "heads").mkdir(parents=True)
        with pytest.raises(RunError, match="was deleted or moved during the run"):
            journal.write("finished")
    assert not (tmp_path / "run" / "log.jsonl").exists()


@pytest.mark.parametrize("line", ["5", "null", "[]", '"text"', "[" * 200_000, '{"event": "\\ud800"}', '{"event": {}}'])
def test_a_line_that_is_no_entry_is_passed_over(tmp_path: Path, line: str) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    journal.start("abc")
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(line + "\n")
    assert journal.identity() == "abc"
    assert journal.record_opening("same") == 1


def test_a_pipe_in_place_of_the_log_is_one_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.jsonl")
    with pytest.raises(RunError, match="not a regular file"):
        Journal(tmp_path / "log.jsonl").identity()
