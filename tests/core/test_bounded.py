"""What others may have written is read within bounds, and a question about a path has an answer, not an error."""

import os
from pathlib import Path

import pytest

from vitrail.core.bounded import is_folder, is_regular_file, is_there, parse_json, read_bounded, read_json
from vitrail.core.errors import UsageError
from vitrail.core.machine import cache_folder, expand_home

NOWHERE = ("x" * 5000, "/".join(["y" * 250] * 30), "a\0b", "", "http://[::1", "~nosuchuser", "\udcff")


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"\xff\xfe{}",
        '"\ud800"'.encode(errors="surrogatepass"),
        rb'"\ud800"',
        rb'{"\uDFFF": 1}',
        b"9" * 5000,
        b"",
        b"{",
        '{"a": 1}'.encode("utf-16"),
    ],
)
def test_what_is_no_json_is_a_value_error(content: bytes):
    with pytest.raises(ValueError, match=r"."):
        parse_json(content)


@pytest.mark.parametrize(
    ("content", "document"),
    [(b"5", 5), (b'\xef\xbb\xbf{"a": "\xc3\xa9"}', {"a": "é"}), (rb'"\ud83d\ude00"', "😀"), (rb'"\\ud800"', r"\ud800")],
)
def test_json_is_read(content: bytes, document: object):
    assert parse_json(content) == document


@pytest.mark.parametrize("path", NOWHERE)
def test_a_path_to_nothing_is_no_error(path: str):
    assert not is_regular_file(path)
    assert not is_folder(path)
    assert not is_there(path)


def test_pipes_loops_and_devices_are_no_regular_files(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "device").symlink_to("/dev/null")
    for name in ("pipe", "loop", "device"):
        assert not is_regular_file(tmp_path / name)
        with pytest.raises(OSError, match=r"."):
            read_json(tmp_path / name)
    (tmp_path / "file").write_bytes(b"1")
    assert is_regular_file(tmp_path / "file")


def test_a_file_is_read_whole_up_to_its_limit(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_bounded(path, 4)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_file_that_says_it_is_empty_is_read():
    assert read_bounded(Path("/proc/self/status"), 1 << 20).startswith(b"Name:")


def test_a_home_folder_of_nobody_is_named(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match="no home folder for ~nosuchuser/x"):
        expand_home("~nosuchuser/x")
    monkeypatch.setenv("VITRAIL_CACHE", "~nosuchuser")
    with pytest.raises(UsageError, match="~nosuchuser"):
        cache_folder()
