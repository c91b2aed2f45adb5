import pytest

from tests.data.pictures import MemorySource, image_file
from vitrail.core.errors import DataError
from vitrail.core.hashing import sha256_bytes
from vitrail.data import read_example


def test_bytes_are_given_under_their_own_id_only():
    files = {"cat/1.png": image_file(1)}
    source, example = MemorySource([], files), sha256_bytes(image_file(1))
    assert read_example(source, "cat/1.png", example) == image_file(1)
    files["cat/1.png"] = image_file(2)
    with pytest.raises(DataError, match=r"cat/1\.png changed while memory was .* run the same command again"):
        read_example(source, "cat/1.png", example)


def test_what_cannot_be_read_is_an_error_of_the_system_still():
    with pytest.raises(PermissionError):
        read_example(MemorySource([], {"x": PermissionError(13, "Permission denied")}), "x", "")
