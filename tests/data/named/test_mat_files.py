import io
import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from tests.data.named.layouts.miniature import cell, mat_bytes
from vitrail.core.errors import DataError
from vitrail.data.named.mat_files import read_mat


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_and_texts_are_read_without_empty_axes(compressed):
    content = mat_bytes(compressed=compressed, y=np.array([[3], [1]]), names=cell(["a/b.jpg", "c.jpg"]), z=np.zeros(9))
    y, names = read_mat(content, ["y", "names"], "x.mat")
    assert y.tolist() == [3, 1]
    assert [str(name) for name in names] == ["a/b.jpg", "c.jpg"]


def test_one_value_is_still_a_list():
    (y,) = read_mat(mat_bytes(y=np.array([[7]])), ["y"], "x.mat")
    assert y.tolist() == [7]


def test_a_missing_variable_is_one_sentence():
    with pytest.raises(DataError, match=r"x\.mat cannot be read as a MATLAB file with y and z.*fetch it again"):
        read_mat(mat_bytes(y=np.zeros(2)), ["y", "z"], "x.mat")


def old_version() -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {"y": np.zeros(3)}, format="4")
    return buffer.getvalue()


def bomb() -> bytes:
    """A small file whose one element unpacks to 64 MB."""
    header = mat_bytes(y=np.zeros(1))[:128]
    packed = zlib.compress(struct.pack("<2I", 14, 64 << 20) + bytes(64 << 20), 9)
    return header + struct.pack("<2I", 15, len(packed)) + packed


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "version"),
        (b"MATLAB 7.3 MAT-file" + bytes(200), "version"),
        (old_version(), "version"),
        (mat_bytes(y=np.zeros(100))[:-40], "damaged"),
        (bomb(), "unpacks to more than 1,000,000 bytes"),
        (mat_bytes(y=np.zeros(200_000)), "unpacks to more than 1,000,000 bytes"),
    ],
)
def test_files_of_another_kind_damaged_ones_and_bombs_are_one_sentence(content, reason):
    with pytest.raises(DataError, match=rf"x\.mat cannot be read .*{reason}"):
        read_mat(content, ["y"], "x.mat", most_bytes=1_000_000)
