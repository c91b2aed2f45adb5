"""Weights are read as float32, from safetensors and nothing else."""

import pickle

import pytest
import torch
from safetensors.torch import save_file

from vitrail.backbones.weights.safetensors import read_safetensors
from vitrail.core.errors import WeightsError


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floating_point_is_read_as_float32(stored, tmp_path):
    value = torch.tensor([0.5, -2.0], dtype=stored)
    save_file({"a": value, "bn.num_batches_tracked": torch.tensor(3)}, tmp_path / "w.safetensors")
    state = read_safetensors(tmp_path / "w.safetensors")
    assert state["a"].dtype == torch.float32
    assert state["a"].tolist() == [0.5, -2.0]
    assert state["bn.num_batches_tracked"].dtype == torch.int64


def test_a_file_cut_short_is_an_error_that_names_it(tmp_path):
    file = tmp_path / "cut.safetensors"
    save_file({"a": torch.zeros(1000)}, file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"cut\.safetensors.*fetch the file again"):
        read_safetensors(file)


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"\xff" * 64, pickle.dumps({"a": 1}), b"<html>Not found</html>"])
def test_anything_else_is_an_error_and_never_runs(content, tmp_path):
    file = tmp_path / "other.safetensors"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"other\.safetensors"):
        read_safetensors(file)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(WeightsError, match="check the path"):
        read_safetensors(tmp_path / "gone.safetensors")


def test_a_folder_is_an_error(tmp_path):
    with pytest.raises(WeightsError, match="check the path"):
        read_safetensors(tmp_path)
