import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrail.data.sources import local
from vitrail.data.sources.local import as_on_disk, clean_text, read_file, read_listed, written


@given(st.binary(min_size=1, max_size=40))
def test_every_file_name_can_be_printed_stored_and_found_again(raw):
    name = os.fsdecode(raw)
    shown = written(name)
    assert as_on_disk(shown) == name
    assert shown.encode().decode() == shown
    assert shown.isprintable() or not any(ord(letter) < 32 for letter in shown)


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"], blacklist_characters="\\\u2028\u2029"), max_size=30))
def test_ordinary_names_accents_and_spaces_stay_as_they_are(name):
    assert written(name) == name


def test_odd_bytes_are_written_in_hexadecimal():
    assert written(os.fsdecode(b"caf\xe9 \x1b[2J.jpg")) == r"caf\xe9 \x1b[2J.jpg"
    assert written(r"caf\xe9") == r"caf\\xe9"


def test_two_ways_of_writing_an_accent_are_one_class():
    assert clean_text("e\u0301te\u0301") == clean_text("\u00e9t\u00e9 ") == "\u00e9t\u00e9"


@given(st.text(max_size=30))
def test_a_text_that_was_cleaned_can_be_printed_and_stays(text):
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned
    assert cleaned.encode().decode() == cleaned
    assert clean_text("AC\\DC\x1b") == "AC\\DC\\x1b"


def test_a_file_larger_than_any_image_is_not_read(tmp_path: Path, monkeypatch):
    (tmp_path / "film").write_bytes(b"12345")
    assert read_file(tmp_path / "film") == b"12345"
    monkeypatch.setattr(local, "MAX_FILE_BYTES", 4)
    with pytest.raises(OSError, match="larger than any image"):
        read_file(tmp_path / "film")


@pytest.mark.parametrize("most", [1, 2, 5, 6])
def test_a_file_system_may_return_fewer_bytes_than_requested(tmp_path: Path, monkeypatch, most):
    (tmp_path / "image").write_bytes(b"12345")
    read = os.read
    monkeypatch.setattr(os, "read", lambda file, length: read(file, min(length, most)))
    assert read_file(tmp_path / "image") == b"12345"


def test_a_pipe_and_a_device_are_refused_without_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to(os.devnull)
    for name in ("pipe", "device"):
        with pytest.raises(OSError, match="not a regular file"):
            read_file(tmp_path / name)


def test_a_folder_is_not_read():
    with pytest.raises(OSError, match="directory"):
        read_file(Path(__file__).parent)


def test_a_listed_file_is_found_by_its_written_path(tmp_path: Path):
    (tmp_path / "a\\b").write_bytes(b"12345")
    assert read_listed(tmp_path, written("a\\b")) == b"12345"
