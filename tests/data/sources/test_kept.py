from collections import Counter
from collections.abc import Iterator

import fsspec
import pytest

from vitrail.data import ListedFile
from vitrail.data.sources import open_source
from vitrail.data.sources.kept import KeptDownloads


class Counted:
    """A source that counts how often each file is read."""

    name = "counted"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.reads: Counter[str] = Counter()

    def list_files(self) -> Iterator[ListedFile]:
        return (ListedFile(path=path, label="a") for path in self.files)

    def read(self, path: str) -> bytes:
        self.reads[path] += 1
        if path not in self.files:
            raise OSError(2, "gone")
        return self.files[path]


def twice(kept: KeptDownloads, counted: Counted) -> None:
    for _ in range(2):
        assert {path: kept.read(path) for path in counted.files} == counted.files


def test_a_file_that_is_read_twice_is_downloaded_once():
    counted = Counted({"a": b"one", "b": b"two"})
    kept = KeptDownloads(counted, budget=6)
    assert [file.path for file in kept.list_files() if isinstance(file, ListedFile)] == ["a", "b"]
    twice(kept, counted)
    assert counted.reads == {"a": 1, "b": 1}


def test_what_does_not_fit_is_downloaded_again():
    counted = Counted({"a": b"four", "b": b"five", "c": b"no"})
    twice(KeptDownloads(counted, budget=6), counted)
    assert counted.reads == {"a": 1, "b": 2, "c": 1}


def test_nothing_is_kept_after_the_second_read():
    counted = Counted({"a": b"one", "b": b"two"})
    kept = KeptDownloads(counted, budget=100)
    twice(kept, counted)
    twice(kept, counted)
    assert counted.reads == {"a": 3, "b": 3}
    assert not kept._kept


def test_a_file_that_cannot_be_read_gives_the_usual_error():
    kept = KeptDownloads(Counted({}), budget=6)
    with pytest.raises(OSError, match="gone"):
        kept.read("a")


def test_only_files_at_a_url_are_kept(tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe("/kept/cat/1.jpg", b"one")
    (tmp_path / "cat").mkdir()
    assert isinstance(open_source("memory://kept", kept_bytes=10), KeptDownloads)
    assert not isinstance(open_source("memory://kept"), KeptDownloads)
    assert not isinstance(open_source(tmp_path, kept_bytes=10), KeptDownloads)
