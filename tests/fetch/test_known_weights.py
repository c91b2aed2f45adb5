"""Where weights are is remembered, and what is remembered breaks nothing."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vitrail.core.digest_json import add_digest
from vitrail.core.machine import config_folder
from vitrail.core.progress import Silent
from vitrail.fetch import known_weights
from vitrail.fetch.known_weights import (
    KNOWN_WEIGHTS,
    KnownFile,
    KnownTensors,
    KnownWeights,
    read_known,
    remember_file,
    remember_tensors,
)


class Heard(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


FIRST = KnownFile(name="vit_mini", sha256="a" * 64, path="/weights/first.safetensors")
TENSORS = KnownTensors(name="vit_mini", sha256="a" * 64, tensors="c" * 64)


def place() -> Path:
    return config_folder() / KNOWN_WEIGHTS


def test_nothing_is_known_at_first():
    assert read_known(Silent()) == KnownWeights()


def test_remembered_facts_are_read_again_and_are_readable_text():
    remember_file(FIRST, Silent())
    remember_tensors(TENSORS, Silent())
    assert read_known(Silent()) == KnownWeights(files=(FIRST,), published=(TENSORS,))
    assert json.loads(place().read_text())["files"][0]["path"] == "/weights/first.safetensors"


def test_a_later_place_of_the_same_weights_replaces_the_earlier_one():
    remember_file(FIRST, Silent())
    moved = KnownFile(name=FIRST.name, sha256=FIRST.sha256, path="/weights/moved.safetensors")
    remember_file(moved, Silent())
    assert read_known(Silent()).files == (moved,)


def test_a_relative_path_is_remembered_as_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    remember_file(KnownFile(name="a", sha256="b" * 64, path="w.bin"), Silent())
    assert read_known(Silent()).files[0].path == str(tmp_path / "w.bin")


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(known_weights, "MOST", 3)
    for number in range(5):
        remember_file(KnownFile(name=f"n{number}", sha256="a" * 64, path="/w"), Silent())
    assert [file.name for file in read_known(Silent()).files] == ["n2", "n3", "n4"]


def test_many_writers_at_once_lose_nothing():
    with ThreadPoolExecutor(8) as pool:
        files = [KnownFile(name=f"n{number}", sha256="a" * 64, path="/w") for number in range(24)]
        list(pool.map(lambda file: remember_file(file, Silent()), files))
    assert len(read_known(Silent()).files) == 24


def test_a_crash_while_writing_leaves_the_old_list(monkeypatch: pytest.MonkeyPatch):
    remember_file(FIRST, Silent())

    def crash(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        remember_tensors(TENSORS, Silent())
    assert read_known(Silent()).files == (FIRST,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"format": 1, "files": [{"name": "a", "sha256": "short", "path": "/w"}]}',
        b'{"format": 1, "files": [{"name": "a", "sha256": "' + b"a" * 64 + b'", "path": ""}]}',
        b'{"format": 1, "files": 3}',
        b" " * (known_weights.MOST_BYTES + 1),
    ],
)
def test_a_damaged_list_is_set_aside_and_stops_nothing(content: bytes):
    place().write_bytes(content)
    heard = Heard()
    assert read_known(heard) == KnownWeights()
    assert "is ignored" in heard.notes[0]
    remember_file(FIRST, heard)
    assert read_known(Silent()).files == (FIRST,)
    assert place().with_name(KNOWN_WEIGHTS + ".damaged").read_bytes() == content
    assert "was moved to known-weights.json.damaged" in heard.notes[1]


def test_a_flipped_bit_is_a_damaged_list():
    """Tensors of another digest would be weights of unknown origin, without a word."""
    remember_tensors(TENSORS, Silent())
    digit = TENSORS.tensors[0]
    text = place().read_text()
    place().write_text(text.replace(f'"tensors": "{digit}', f'"tensors": "{int(digit, 16) ^ 1:x}'))
    assert place().read_text() != text
    heard = Heard()
    assert read_known(heard) == KnownWeights()
    assert "its digest does not match" in heard.notes[0]


def test_the_list_of_a_newer_version_stays_as_it_is():
    newer = json.dumps(add_digest({"format": 2, "shelves": []}))
    place().write_text(newer)
    heard = Heard()
    remember_file(FIRST, heard)
    assert place().read_text() == newer
    assert "it has format 2, but this version of Vitrail reads 1" in heard.notes[0]


def test_a_folder_that_cannot_be_written_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "config").write_text("a file")
    monkeypatch.setenv("VITRAIL_CONFIG", str(tmp_path / "config"))
    heard = Heard()
    remember_file(FIRST, heard)
    assert "later commands may ask for -b NAME=FILE again" in heard.notes[0]


@pytest.mark.parametrize("path", ["/w/\udcff.bin", "/" + "x" * 5000])
def test_a_path_that_could_not_be_read_again_is_not_written(path: str):
    remember_file(FIRST, Silent())
    heard = Heard()
    remember_file(KnownFile(name="odd", sha256="d" * 64, path=path), heard)
    assert read_known(Silent()).files == (FIRST,)
    assert heard.notes
