from pathlib import Path

import pytest

from vitrail.core.errors import RunError
from vitrail.runs.journal import Journal


def test_a_line_cut_by_a_crash_is_passed_over_and_the_next_one_stands_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    journal.start("abc")
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"event": "test split op')
    journal.write("features", backbone="a")
    assert journal.identity() == "abc"
    assert [entry["backbone"] for entry in journal.events("features")] == ["a"]


def test_an_opening_with_the_same_choices_counts_once_and_with_others_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    assert journal.record_opening("same") == 1
    assert journal.record_opening("same") == 1
    assert journal.record_opening("other") == 2


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="could not be written"):
        Journal(tmp_path / "missing" / "log.jsonl").start("abc")
