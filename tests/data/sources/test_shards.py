from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.sources.archives import listed, tar_of
from vitrail.data.sources import open_source, ranges
from vitrail.data.sources.shards import expand_braces, open_archive, open_shards


def test_braces_stand_for_numbers_of_their_width():
    assert list(expand_braces("a-{08..11}.tar")) == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert list(expand_braces("{0..1}-{0..1}")) == ["0-0", "0-1", "1-0", "1-1"]
    assert list(expand_braces("plain.tar")) == ["plain.tar"]


def test_other_files_are_not_archives():
    def never() -> None:
        pytest.fail("it is not opened")

    assert open_archive("x.csv", never) is None
    assert open_shards({"a.tar": never, "cat/1.jpg": never}, "x") is None
    assert open_shards({}, "x") is None


@pytest.mark.parametrize("ending", ["tar", "parquet"])
def test_only_the_shards_read_last_are_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str):
    monkeypatch.setattr(ranges, "MOST_OPEN", 3)
    contents = {f"x-{number:02d}": bytes([number]) * 9 for number in range(20)}
    for name, content in contents.items():
        if ending == "tar":
            tar_of(tmp_path / f"{name}.tar", {"1.jpg": content, "1.cls": b"cat"})
        else:
            pq.write_table(pa.table({"jpg": [content], "label": ["cat"]}), tmp_path / f"{name}.parquet")
    listed(open_source(tmp_path))  # by now the process that parses Parquet has started
    before = len(list(Path("/dev/fd").iterdir()))
    source = open_source(tmp_path)
    paths = sorted(path for path, _, _ in listed(source)[0])
    for _ in range(2):
        assert [source.read(path) for path in paths] == list(contents.values())
    assert len(list(Path("/dev/fd").iterdir())) - before <= 3
