import gzip
from pathlib import Path

import numpy as np
import pytest

from vitrail.core.errors import DataError
from vitrail.data.sources import gzipped
from vitrail.data.sources.gzipped import GzipRanges
from vitrail.data.sources.ranges import FileRanges


def packed(path: Path, *contents: bytes) -> FileRanges:
    path.write_bytes(b"".join(gzip.compress(content) for content in contents))
    return FileRanges(path)


def test_any_part_is_read_from_a_place_before_it(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(gzipped, "SPACING", 3000)
    monkeypatch.setattr(gzipped, "OUTPUT_BYTES", 1000)
    monkeypatch.setattr(gzipped, "INPUT_BYTES", 700)
    monkeypatch.setattr(gzipped, "POINTS", 9)
    draws = np.random.default_rng(0)
    content = draws.integers(0, 9, 100_000, dtype=np.uint8).tobytes()
    ranges = GzipRanges(packed(tmp_path / "x.gz", content[:40_000], content[40_000:]), "x.gz")
    assert ranges.size == len(content)
    assert len(ranges._points) <= 9
    for start, length in [(0, 10), (39_990, 50), (99_999, 5), (100_000, 5), *draws.integers(0, 99_000, (40, 2))]:
        assert ranges.read_at(int(start), int(length)) == content[start : start + length]


def test_damage_a_cut_and_a_bomb_are_refused(tmp_path: Path, monkeypatch):
    file = packed(tmp_path / "x.gz", b"x" * 3_000_000)
    whole = (tmp_path / "x.gz").read_bytes()
    (tmp_path / "cut.gz").write_bytes(whole[:-500])
    with pytest.raises(DataError, match="cut off before its end"):
        GzipRanges(FileRanges(tmp_path / "cut.gz"), "cut.gz")
    (tmp_path / "bad.gz").write_bytes(whole[:-6] + b"\0" + whole[-5:])
    with pytest.raises(DataError, match=r"bad.gz cannot be unpacked .*fetch it again"):
        GzipRanges(FileRanges(tmp_path / "bad.gz"), "bad.gz")
    monkeypatch.setattr(gzipped, "BOMB_BYTES", 2_000_000)
    with pytest.raises(DataError, match="archive bomb"):
        GzipRanges(file, "x.gz")
