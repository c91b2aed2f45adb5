"""What is made for all test processes is made once, whole, and never changed by a test."""

import multiprocessing
import os
from pathlib import Path

import pytest

from tests.sharing import make_once


def make_and_copy(common: Path, own: Path) -> None:
    def make(folder: Path) -> None:
        with (common / "calls").open("a") as calls:
            calls.write("called\n")
        (folder / "maker").write_text(str(os.getpid()))

    copy = make_once(common, "model", make, own)
    (copy / "maker").write_text("changed by a test")


def test_several_processes_make_it_once_and_change_copies_alone(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=make_and_copy, args=(tmp_path, tmp_path / f"own{n}")) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "calls").read_text() == "called\n"
    assert int((tmp_path / "model" / "maker").read_text()) in {process.pid for process in processes}


def test_what_a_failed_process_left_is_not_taken_for_whole(tmp_path: Path):
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        make_once(tmp_path, "model", fail, tmp_path / "first")
    copy = make_once(tmp_path, "model", lambda folder: (folder / "whole").touch(), tmp_path / "second")
    assert [path.name for path in copy.iterdir()] == ["whole"]
