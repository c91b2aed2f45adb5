import errno
import os
from pathlib import Path

import pytest

from vitrail.core.whole_files import delete_temporaries_of, put_if_absent, put_in_place


def test_a_failed_or_interrupted_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, monkeypatch):
    target = tmp_path / "new" / "file"
    put_in_place(target, lambda path: path.write_text("old"))

    def half(path: Path) -> None:
        path.write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put_in_place(target, half)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            put_in_place(target, lambda path: path.write_text("new"))
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_two_writers_of_one_file_do_not_meet_even_with_the_same_process_id(tmp_path: Path):
    target = tmp_path / "file"

    def overtaken(path: Path) -> None:
        path.write_text("first")
        put_in_place(target, lambda other: other.write_text("second"))  # as on another machine that shares the folder

    put_in_place(target, overtaken)
    assert target.read_text() == "first"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_an_existing_file_stays_when_the_first_writer_wins(tmp_path: Path, monkeypatch):
    target = tmp_path / "new" / "file"

    def overtaken(path: Path) -> None:
        path.write_text("second")
        put_if_absent(target, lambda other: other.write_text("first"))

    put_if_absent(target, overtaken)
    assert target.read_text() == "first"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_without_hard_links_a_file_is_still_put_whole(tmp_path: Path, monkeypatch):
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    put_if_absent(tmp_path / "file", lambda path: path.write_text("whole"))
    assert (tmp_path / "file").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_pipe_or_device_is_never_replaced(tmp_path: Path):
    """A rename would put a regular file in its place, for every program of the machine."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    for path in (pipe, link):
        with pytest.raises(FileExistsError, match="not a regular file"):
            put_in_place(path, lambda temporary: temporary.write_bytes(b"x"))
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "link"}


@pytest.mark.parametrize("path", ["", ".", "folder"])
def test_a_folder_is_never_replaced(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    with pytest.raises(OSError, match=r"Is a directory|not a regular file"):
        put_in_place(Path(path), lambda temporary: temporary.write_bytes(b"x"))


def test_what_killed_writers_of_one_file_left_is_deleted_and_nothing_else(tmp_path: Path):
    names = (".a.bin.0123.tmp", "a.bin", ".ab.bin.0123.tmp", ".a.bin.0123", "notes.tmp")
    for name in names:
        (tmp_path / name).write_text("")
    delete_temporaries_of(tmp_path / "a.bin")
    assert {path.name for path in tmp_path.iterdir()} == set(names[1:])
    delete_temporaries_of(tmp_path / "missing" / "a.bin")
