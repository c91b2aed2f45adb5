from pathlib import Path

import pytest

from vitrail.core.errors import RunError, UsageError
from vitrail.core.whole_files import write_whole
from vitrail.runs.folder import default_folder, enter_folder


def test_the_same_question_goes_on_in_its_folder(tmp_path: Path) -> None:
    enter_folder(tmp_path / "run", "same").start("same")
    assert enter_folder(tmp_path / "run", "same").identity() == "same"


def test_another_question_in_the_same_folder_is_wrong_usage(tmp_path: Path) -> None:
    enter_folder(tmp_path / "run", "one").start("one")
    with pytest.raises(UsageError, match="other options"):
        enter_folder(tmp_path / "run", "two")


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(UsageError, match="holds no run"):
        enter_folder(tmp_path, "one")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way_of_the_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunError, match="--out"):
        enter_folder(tmp_path / "run", "one")


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


def test_a_file_where_a_folder_should_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "heads").write_text("")
    with pytest.raises(RunError, match="could not be written"):
        write_whole(tmp_path / "heads" / "a.safetensors", lambda path: None)
