"""HDF5 files of strangers: only arrays that are in the file itself are read."""

import sys

import h5py
import numpy as np
import pytest

from vitrail.core.errors import DataError, UsageError
from vitrail.data.named.file_tree import FolderTree
from vitrail.data.named.hdf5 import open_arrays


def test_arrays_are_read_in_parts(tmp_path):
    values = np.arange(5_000).reshape(1_000, 5)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("group/values", data=values, chunks=(10, 5), compression="gzip")
    (array,) = open_arrays(FolderTree(tmp_path, ["a.h5"]), "a.h5", ["group/values"])
    assert np.array_equal(array[730:735], values[730:735])


def test_arrays_that_are_in_another_file_are_not_read(tmp_path):
    """An HDF5 file can name any file of the machine as the place of its arrays."""
    secret, linked = tmp_path / "secret", tmp_path / "other.h5"
    secret.write_bytes(bytes(range(64)))
    with h5py.File(linked, "w") as file:
        file["x"] = np.zeros(3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("outside", (64,), np.uint8, external=[(str(secret), 0, 64)])
        file["group/link"] = h5py.ExternalLink(str(linked), "x")
    tree = FolderTree(tmp_path, ["a.h5"])
    for array in ("outside", "group/link", "group/none", "outside/x"):
        with pytest.raises(DataError, match=r"a\.h5 of .* cannot be read \((it has no|outside is not an) array"):
            open_arrays(tree, "a.h5", [array])


def test_a_file_that_is_not_hdf5_and_a_missing_one_are_one_sentence(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"no HDF5")
    for name in ("a.h5", "b.h5"):
        with pytest.raises(DataError, match=rf"{name} of .* cannot be read .*: fetch it again"):
            open_arrays(FolderTree(tmp_path, ["a.h5"]), name, ["x"])


def test_without_h5py_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError, match=r'pip install "vitrail\[keras\]"'):
        open_arrays(FolderTree(tmp_path, []), "a.h5", ["x"])
