import subprocess
import sys
from pathlib import Path

import pytest

from vitrail.core.errors import RunError, UsageError
from vitrail.core.whole_files import unique_name, write_whole
from vitrail.runs.folder import default_folder, enter_folder, is_finished


def test_the_same_question_goes_on_in_its_folder(tmp_path: Path) -> None:
    with enter_folder(tmp_path / "run", "same") as journal:
        journal.start("same")
    with enter_folder(tmp_path / "run", "same") as journal:
        assert journal.identity() == "same"


def test_another_question_in_the_same_folder_is_wrong_usage(tmp_path: Path) -> None:
    with enter_folder(tmp_path / "run", "one") as journal:
        journal.start("one")
    with pytest.raises(UsageError, match="other options"), enter_folder(tmp_path / "run", "two"):
        pass


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(UsageError, match="does not hold a run"), enter_folder(tmp_path, "one"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way_of_the_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunError, match="--out"), enter_folder(tmp_path / "run", "one"):
        pass


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "results.json"
    target.write_text("old")

    def fill_the_disk(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match="No space left"):
        write_whole(target, fill_the_disk)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert target.read_text() == "old"


def test_a_default_folder_is_named_after_data_and_options() -> None:
    assert default_folder("Stanford Dogs/é", "0123456789ab") == Path("runs/Stanford-Dogs-é-01234567")


@pytest.mark.parametrize("name", ["missing", "x" * 300, "nul\0byte"])
def test_where_no_folder_can_be_no_run_is_finished(tmp_path: Path, name: str) -> None:
    assert not is_finished(tmp_path / name)


def test_a_file_where_a_folder_should_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "heads").write_text("")
    with pytest.raises(RunError, match="could not be written"):
        write_whole(tmp_path / "heads" / "a.safetensors", lambda path: None)


def test_a_run_killed_before_its_first_line_does_not_occupy_the_folder(tmp_path: Path) -> None:
    (tmp_path / ".log.jsonl.0123.tmp").write_text('{"time": ')
    (tmp_path / ".lock").write_text("")
    with enter_folder(tmp_path, "one") as journal:
        journal.start("one")
        assert {path.name for path in tmp_path.iterdir()} == {".lock", "log.jsonl"}
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_a_second_process_in_the_same_folder_is_turned_away(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vitrail.runs.folder import enter_folder\n"
        "with enter_folder(Path(sys.argv[1]), 'one') as journal:\n"
        "    journal.start('one'); print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(UsageError, match="Another process is using"), enter_folder(tmp_path, "one"):
            pass
        other.communicate(b"")
    with enter_folder(tmp_path, "one") as journal:
        assert journal.starts == 1


def test_names_that_differ_give_files_that_differ() -> None:
    names = ["hf:a/b", "hf:a-b", "hf-a-b", "HF-a-b", "vit_mini", "vit_mini+deck"]
    assert len({unique_name(name).casefold() for name in names}) == len(names)
    assert unique_name("vit_mini") == "vit_mini"


def test_a_finished_run_whose_log_lost_its_last_line_is_not_done_again(tmp_path: Path) -> None:
    """The receipt is written last: a kill after it, or a flipped bit in the log, leaves a finished run."""
    with enter_folder(tmp_path, "abc") as journal:
        journal.start("abc")
        (tmp_path / "receipt.json").write_text("{}")
    assert is_finished(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with enter_folder(tmp_path, "abc"):
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before, "nothing is locked or swept"
