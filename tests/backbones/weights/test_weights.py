"""Weights go in whole or not at all, and the error lists what does not fit."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vitrail.backbones.weights import LISTED_TENSORS, load_into, read_weights
from vitrail.core.errors import WeightsError

FILE = Path("some/weights.safetensors")


@pytest.fixture
def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


@pytest.fixture
def state(net) -> dict[str, torch.Tensor]:
    return {name: torch.full_like(tensor, 2) for name, tensor in net.state_dict().items()}


def test_every_tensor_is_copied(net, state):
    load_into(net, state, file=FILE)
    assert all(bool((tensor == 2).all()) for tensor in net.state_dict().values())


def test_unexpected_missing_misshapen_and_not_finite_tensors_are_all_listed(net, state):
    state["extra.weight"] = torch.zeros(1)
    state["0.bias"] = torch.zeros(5)
    state["1.weight"] = torch.tensor([1.0, float("nan"), 1.0, 1.0])
    del state["0.weight"]
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_into(net, state, file=FILE)
    message = str(caught.value)
    assert str(FILE) in message
    assert "1 unexpected: extra.weight" in message
    assert "1 missing: 0.weight" in message
    assert "1 misshapen: 0.bias (has 5, needs 4)" in message
    assert "1 not finite: 1.weight" in message
    assert "belongs to the backbone" in message
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_a_long_list_is_cut_and_counted(net, state):
    state |= {f"extra.{number}": torch.zeros(1) for number in range(LISTED_TENSORS + 5)}
    with pytest.raises(WeightsError, match=rf"{LISTED_TENSORS + 5} unexpected: .* and 5 more"):
        load_into(net, state, file=FILE)


def test_an_infinite_value_after_the_change_to_float32_is_found(net, state):
    state["0.bias"] = torch.full((4,), 1e300, dtype=torch.float64).float()
    with pytest.raises(WeightsError, match=r"1 not finite: 0\.bias"):
        load_into(net, state, file=FILE)


def test_a_counter_of_training_steps_may_be_missing(net, state):
    """torchvision's files from before 2019 lack it, and inference never reads it."""
    del state["1.num_batches_tracked"]
    load_into(net, state, file=FILE)
    assert bool((net[1].running_mean == 2).all())


def test_a_network_has_no_silent_block_after_loading(net, state):
    """Every parameter differs from its initial value: nothing was skipped."""
    initial = {name: tensor.clone() for name, tensor in net.named_parameters()}
    load_into(net, state, file=FILE)
    assert not any(torch.equal(tensor, initial[name]) for name, tensor in net.named_parameters())


def save_h5(state: dict[str, torch.Tensor], file: Path) -> None:
    with h5py.File(file, "w") as opened:
        for name, tensor in state.items():
            opened[f"{name}/{name}/value:0"] = tensor.numpy()


WRITERS = {
    "safetensors": save_file,
    "pth": torch.save,
    "old pth": lambda state, file: torch.save(state, file, _use_new_zipfile_serialization=False),
    "npz": lambda state, file: np.savez(file, **{name: tensor.numpy() for name, tensor in state.items()}),
    "h5": save_h5,
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".npz", ".h5", ""])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_is_recognised_by_its_content(kind, suffix, tmp_path):
    written = tmp_path / ("written.npz" if kind == "npz" else "written")
    WRITERS[kind]({"a": torch.tensor([0.5, 2.0])}, written)
    state = read_weights(shutil.move(written, tmp_path / f"given{suffix}"))
    assert [tensor.tolist() for tensor in state.values()] == [[0.5, 2.0]]


def test_names_of_our_own_are_left_as_they_are(tmp_path, state):
    torch.save(state, tmp_path / "w.pth")
    assert list(read_weights(tmp_path / "w.pth")) == list(state)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x80", b"<html>", b"\xff" * 99])
def test_a_file_without_weights_gives_one_sentence_that_says_what_to_do(content, tmp_path):
    (tmp_path / "w.bin").write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.bin.*fetch the file again") as caught:
        read_weights(tmp_path / "w.bin")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_is_a_folder_is_an_error(tmp_path):
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(WeightsError, match="check the path"):
            read_weights(path)


@pytest.mark.parametrize("first", [0x80, 0x50], ids=["as a pickle", "as an archive"])
def test_a_safetensors_file_whose_first_byte_is_that_of_another_kind_is_read(first, tmp_path):
    file = tmp_path / "w.safetensors"
    for letters in range(8, 300, 8):  # the header's length is a multiple of 8, and its low byte comes first
        save_file({"a" * letters: torch.ones(2)}, file)
        if file.read_bytes()[0] == first:
            break
    assert file.read_bytes()[0] == first
    assert [tensor.tolist() for tensor in read_weights(file).values()] == [[1.0, 1.0]]


def test_an_index_of_shards_says_how_to_join_them(tmp_path):
    file = tmp_path / "model.safetensors.index.json"
    shards = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    file.write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    with pytest.raises(WeightsError, match=r"index of weights in 2 other files \(model-1-of-2.*join the dictionaries"):
        read_weights(file)


def test_a_pointer_of_git_lfs_is_called_one(tmp_path):
    (tmp_path / "w.safetensors").write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\n")
    with pytest.raises(WeightsError, match=r"pointer of Git LFS.*git lfs pull"):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool, torch.complex64])
@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_weights_that_are_not_floating_point_are_refused(dtype, kind, tmp_path):
    file, state = tmp_path / f"w.{kind}", {"a.weight": torch.ones(2).to(dtype), "steps": torch.tensor([3])}
    save_file(state, file) if kind == "safetensors" else torch.save(state, file)
    with pytest.raises(WeightsError, match=r"are not floating-point: 1 of type|more than plain tensors"):
        read_weights(file)


def test_a_tensor_of_another_type_than_the_networks_is_listed(net, state):
    state["1.running_mean"] = torch.ones(4, dtype=torch.int32)
    with pytest.raises(WeightsError, match=r"1 not floating-point: 1\.running_mean \(int32\)"):
        load_into(net, state, file=FILE)
