"""Weights go in whole or not at all, and the error lists what does not fit."""

from pathlib import Path

import pytest
import torch
from torch import nn

from vitrail.backbones.weights import LISTED_TENSORS, load_into
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
