"""What was trusted stays trusted."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from vitrail.core.digest_json import add_digest
from vitrail.core.errors import DownloadError
from vitrail.fetch.trust import Trusted, read_trusted, remember

FIRST = Trusted(repository="timm/a", revision="1" * 40, sha256="a" * 64)
SECOND = Trusted(repository="timm/b", revision="2" * 40, sha256="b" * 64)


def test_a_lock_that_does_not_exist_trusts_nothing(tmp_path):
    assert read_trusted(tmp_path / "none" / "weights.lock.json") == {}


def test_remembered_facts_are_read_again_and_are_readable_text(tmp_path):
    path = tmp_path / "config" / "weights.lock.json"
    remember(path, "b", SECOND)
    remember(path, "a", FIRST)
    assert read_trusted(path) == {"a": FIRST, "b": SECOND}
    document = json.loads(path.read_text())
    assert document["format"] == 1
    assert list(document["weights"]) == ["a", "b"]


def test_a_name_that_is_locked_stays_as_it_is(tmp_path):
    path = tmp_path / "weights.lock.json"
    remember(path, "a", FIRST)
    remember(path, "a", SECOND)
    assert read_trusted(path) == {"a": FIRST}


def test_many_writers_at_once_lose_nothing(tmp_path):
    path = tmp_path / "weights.lock.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: remember(path, f"name{number}", FIRST), range(24)))
    assert len(read_trusted(path)) == 24


def test_a_crash_while_writing_leaves_the_old_lock(tmp_path, monkeypatch):
    path = tmp_path / "weights.lock.json"
    remember(path, "a", FIRST)

    def crash(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        remember(path, "b", SECOND)
    assert read_trusted(path) == {"a": FIRST}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"format": 1, "weights": {"a": {}}}', '{"format": 1, "weights": []}', "\udcff"],
)
def test_a_lock_that_is_damaged_is_an_error_and_never_read_as_empty(text, tmp_path):
    path = tmp_path / "weights.lock.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DownloadError, match=r"weights\.lock\.json.*restore a copy"):
        read_trusted(path)


def test_a_flipped_bit_in_a_name_does_not_let_the_name_be_trusted_anew(tmp_path):
    path = tmp_path / "weights.lock.json"
    remember(path, "a", FIRST)
    path.write_text(path.read_text().replace('"a"', '"c"'))
    with pytest.raises(DownloadError, match="digest does not match its content"):
        read_trusted(path)


def test_a_lock_of_a_newer_version_is_named(tmp_path):
    path = tmp_path / "weights.lock.json"
    path.write_text(json.dumps(add_digest({"format": 2, "weights": {}})))
    with pytest.raises(DownloadError, match="has format 2, but this version of Vitrail reads 1"):
        read_trusted(path)


def test_a_folder_that_cannot_be_written_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="VITRAIL_CONFIG"):
        remember(tmp_path / "file" / "weights.lock.json", "a", FIRST)
