"""Whatever happens to a file between its digest and its parser is noticed."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from vitrail.core.hashing import sha256_file
from vitrail.core.same_bytes import ChangedFileError, same_bytes


def check(path: Path) -> AbstractContextManager[None]:
    return same_bytes([path], partial(sha256_file, path), sha256_file(path))


def test_a_file_that_nobody_touches_is_read(tmp_path: Path):
    path = tmp_path / "w"
    path.write_bytes(b"right")
    with check(path):
        assert path.read_bytes() == b"right"


def test_an_error_of_the_parser_is_passed_on(tmp_path: Path):
    (tmp_path / "w").write_bytes(b"right")
    with pytest.raises(KeyError), check(tmp_path / "w"):
        raise KeyError


def swap_and_swap_back(path: Path, other: Path) -> None:
    path.rename(path.with_name("aside"))
    other.rename(path)
    path.rename(other)
    path.with_name("aside").rename(path)


def overwrite(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def link_elsewhere(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to(other)


@pytest.mark.parametrize("change", [swap_and_swap_back, overwrite, link_elsewhere])
def test_no_way_to_change_a_file_goes_unnoticed(tmp_path: Path, change: Callable[[Path, Path], None]):
    path, other = tmp_path / "w", tmp_path / "other"
    path.write_bytes(b"right"), other.write_bytes(b"wrong")
    with pytest.raises(ChangedFileError), check(path):
        change(path, other)


def test_a_change_within_one_tick_of_the_clock_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "w"
    path.write_bytes(b"right")
    stamp = [(1, 1, 5, time.time_ns(), time.time_ns())]
    monkeypatch.setattr("vitrail.core.same_bytes._stamp", lambda _: stamp)  # a clock that stands still
    with pytest.raises(ChangedFileError), check(path):
        path.write_bytes(b"wrong")
