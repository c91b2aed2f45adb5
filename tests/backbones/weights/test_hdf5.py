"""An .h5 is read as the numbers that are in it, and in no other file."""

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from vitrail.backbones.weights.hdf5 import read_h5
from vitrail.core.errors import UsageError, WeightsError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "w.h5"


def write(file: Path, **more: Any) -> Path:
    with h5py.File(file, "w") as opened:
        opened.attrs["layer_names"] = ["conv1_conv"]
        opened["conv1_conv/conv1_conv/kernel:0"] = np.arange(6, dtype=np.float16).reshape(2, 3)
        for name, value in more.items():
            opened[name] = value
    return file


def test_arrays_are_read_by_layer_and_name(file):
    state = read_h5(write(file))
    assert {name: tensor.tolist() for name, tensor in state.items()} == {"conv1_conv/kernel": [[0, 1, 2], [3, 4, 5]]}
    assert str(state["conv1_conv/kernel"].dtype) == "torch.float32"


def test_a_whole_model_is_read_without_its_optimiser(file):
    with h5py.File(file, "w") as opened:
        opened["model_weights/conv1_bn/conv1_bn/beta:0"] = np.ones(2, np.float32)
        opened["optimizer_weights/iteration:0"] = np.array(3)
    assert list(read_h5(file)) == ["conv1_bn/beta"]


def test_a_link_to_another_file_is_not_followed(file, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["a"] = np.ones(3, np.float32)
    write(file, **{"stolen/kernel:0": h5py.ExternalLink(str(tmp_path / "secret.h5"), "/a")})
    assert list(read_h5(file)) == ["conv1_conv/kernel"]


def test_numbers_kept_in_another_file_are_refused(file, tmp_path):
    (tmp_path / "secret").write_bytes(b"12345678")
    with h5py.File(write(file), "a") as opened:
        opened.create_dataset("x/kernel:0", (2,), np.float32, external=[(str(tmp_path / "secret"), 0, 8)])
    with pytest.raises(WeightsError, match=r"w\.h5.*x/kernel:0 takes its numbers from another file"):
        read_h5(file)


def test_a_view_of_another_file_is_refused(file, tmp_path):
    layout = h5py.VirtualLayout((2,), np.float32)
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "a", shape=(2,))
    with h5py.File(write(file), "a") as opened:
        opened.create_virtual_dataset("x/kernel:0", layout)
    with pytest.raises(WeightsError, match="from another file"):
        read_h5(file)


@pytest.mark.parametrize(
    "value", [np.array([b"text"]), np.array([1, 2]), np.array([1j])], ids=["text", "int", "complex"]
)
def test_items_that_are_not_weights_are_refused(value, file):
    write(file, **{"x/kernel:0": value})
    with pytest.raises(WeightsError, match=r"w\.h5.*x/kernel:0 has type .*not numbers"):
        read_h5(file)


def test_an_array_that_is_declared_but_not_there_makes_no_room_for_itself(file):
    with h5py.File(write(file), "a") as opened:
        opened.create_dataset("x/kernel:0", (10**6, 10**6), np.float32, chunks=(1000, 1000))
    with pytest.raises(WeightsError, match="declares far more"):
        read_h5(file)


def test_a_bomb_is_refused(file):
    with h5py.File(write(file), "a") as opened:
        opened.create_dataset("x/kernel:0", data=np.zeros(20_000_000, np.float32), compression="gzip")
    assert file.stat().st_size < 200_000
    with pytest.raises(WeightsError, match="declares far more"):
        read_h5(file)


def test_the_same_array_of_two_places_is_refused(file):
    write(file, **{"again/conv1_conv/kernel:0": np.ones(2, np.float32)})
    with pytest.raises(WeightsError, match="conv1_conv/kernel occurs twice"):
        read_h5(file)


def test_a_file_cut_off_is_an_error(file):
    whole = write(file).read_bytes()
    for length in (len(whole) // 2, 600, 100, 8):
        file.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"w\.h5.*fetch the file again"):
            read_h5(file)


def test_without_the_extra_it_is_named(file, monkeypatch):
    write(file)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError, match=r"pip install 'vitrail\[keras\]'"):
        read_h5(file)
