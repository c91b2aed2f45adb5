"""What training code wraps weights in is taken off and said; what is ambiguous is refused with a way out."""

import pytest
import torch
from safetensors.torch import save_file

from vitrail.backbones.weights import read_weights
from vitrail.core.errors import WeightsError

STATE = {"a.weight": torch.ones(2), "b.weight": torch.zeros(3)}


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.", "net.", "backbone."])
@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_a_prefix_of_all_names_is_taken_off_and_said(prefix, kind, tmp_path, notes):
    file, state = tmp_path / f"w.{kind}", {prefix + name: tensor for name, tensor in STATE.items()}
    save_file(state, file) if kind == "safetensors" else torch.save(state, file)
    assert read_weights(file, notes.append).keys() == STATE.keys()
    assert len(notes) == 1
    assert f"begin with {prefix!r}" in notes[0]


def test_a_prefix_that_only_some_names_have_is_no_wrappers(tmp_path, notes):
    save_file({"module.a.weight": torch.ones(2), "b.weight": torch.ones(2)}, tmp_path / "w.safetensors")
    assert read_weights(tmp_path / "w.safetensors", notes.append).keys() == {"module.a.weight", "b.weight"}
    assert notes == []


def test_the_weights_of_a_lightning_checkpoint_are_read(tmp_path, notes):
    checkpoint = {
        "epoch": 3,
        "pytorch-lightning_version": "2.2",
        "state_dict": {f"model.{name}": tensor for name, tensor in STATE.items()},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}],
        "hyper_parameters": {"lr": 0.1},
    }
    torch.save(checkpoint, tmp_path / "w.ckpt")
    assert read_weights(tmp_path / "w.ckpt", notes.append).keys() == STATE.keys()
    assert "reads the weights under 'state_dict' and leaves out epoch, pytorch-lightning_version" in notes[0]
    assert "'model.'" in notes[1]


def test_a_checkpoint_with_a_moving_average_says_how_to_save_one_set(tmp_path):
    torch.save({"epoch": 3, "state_dict": STATE, "state_dict_ema": STATE}, tmp_path / "w.pth.tar")
    with pytest.raises(WeightsError, match="state_dict, state_dict_ema") as caught:
        read_weights(tmp_path / "w.pth.tar")
    load = str(caught.value).partition("save_file(")[2].partition(", 'w.safetensors')")[0]
    load = load.replace("'w.pth.tar'", repr(str(tmp_path / "w.pth.tar")))
    assert eval(load).keys() == STATE.keys()
