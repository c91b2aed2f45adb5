import os
from pathlib import Path

import pytest

from vitrail.data.sources.ranges import FileRanges, as_file


def test_a_file_of_its_own_position_reads_seeks_and_ends(tmp_path: Path):
    (tmp_path / "x").write_bytes(bytes(range(200)))
    ranges = FileRanges(tmp_path / "x")
    file = as_file(ranges, most=1 << 20)
    assert (ranges.size, ranges.read_at(190, 50)) == (200, bytes(range(190, 200)))
    assert (ranges.read_at(190, 1 << 60), ranges.read_at(300, 1 << 60)) == (bytes(range(190, 200)), b"")
    assert file.seek(-5, os.SEEK_END) == 195
    assert file.read() == bytes(range(195, 200))
    file.seek(3)
    file.seek(4, os.SEEK_CUR)
    assert file.read(2) == b"\7\10"
    with pytest.raises(OSError, match="points before its own beginning"):
        file.seek(-1000, os.SEEK_END)


def test_no_claim_of_an_archive_is_believed_beyond_the_end(tmp_path: Path):
    (tmp_path / "x").write_bytes(bytes(range(200)))
    file = as_file(FileRanges(tmp_path / "x"), most=1 << 20)
    for claim in (1 << 40, 1 << 62, 1 << 80):
        file.seek(190)
        assert file.read(claim) == bytes(range(190, 200))
        file.seek(claim)
        assert file.read(1) == b""


def test_a_part_that_is_larger_than_any_header_is_not_read(tmp_path: Path):
    (tmp_path / "x").write_bytes(bytes(200))
    file = as_file(FileRanges(tmp_path / "x"), most=100)
    assert file.read(100) == bytes(100)
    assert file.read() == bytes(100)
    file.seek(0)
    for size in (101, -1, None):
        with pytest.raises(OSError, match="larger than any header"):
            file.read(size)


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path):
    os.mkfifo(tmp_path / "x")
    with pytest.raises(OSError, match="not a regular file"):
        FileRanges(tmp_path / "x")
