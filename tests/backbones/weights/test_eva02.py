"""Files of EVA-02 by its authors' names are read as timm reads them; timm's own are compared in tests/nets."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.references import randomise, relative_gap, timm, timm_net
from vitrail.backbones.weights import load_into, read_weights
from vitrail.core.errors import WeightsError
from vitrail.nets.eva02 import Eva02, EvaConfig, EvaSize

PARITY = 5e-6
TIMM = {"img_size": 128, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}
IMAGE_BCHW = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(1))


def in_authors_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As fine-tuning saves them: packed as timm has them, or apart."""
    parts = {
        "q_proj.bias": "q_bias",
        "v_proj.bias": "v_bias",
        "mlp.fc1_g": "mlp.w1",
        "mlp.fc1_x": "mlp.w2",
        "mlp.norm": "mlp.ffn_ln",
        "mlp.fc1.": "mlp.w12.",
        "mlp.fc2": "mlp.w3",
    }
    renamed = {"rope.freqs_cos": torch.ones(256, 16), "blocks.0.attn.rope.freqs_sin": torch.ones(256, 16)}
    for name, tensor in state.items():
        for ours, theirs in parts.items():
            name = name.replace(ours, theirs)
        renamed[name] = tensor
    return renamed


def saved(state: dict[str, Tensor], folder: Path) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    return folder / "model.safetensors"


def loaded(file: Path, *, sub_norm: bool, classes: int) -> Eva02:
    size = EvaSize(48, 2, 3, 128, sub_norm=sub_norm)
    net = Eva02(EvaConfig(size=size, patch=8, image_size=128, classes=classes)).eval()
    load_into(net, read_weights(file), file=file)
    return net


def timms(classes: int, *, sub_norm: bool) -> nn.Module:
    return timm_net(f"eva02_{'base' if sub_norm else 'small'}_patch14_224", **TIMM, num_classes=classes)


@pytest.mark.parametrize("sub_norm", [False, True])
def test_fine_tuned_files_of_the_authors_are_read(sub_norm, tmp_path):
    theirs = timms(5, sub_norm=sub_norm)
    state = in_authors_names(randomise(theirs))
    theirs.load_state_dict(timm().models.eva.checkpoint_filter_fn(state, theirs))
    file = saved(state, tmp_path)
    with torch.inference_mode():
        assert relative_gap(loaded(file, sub_norm=sub_norm, classes=5)(IMAGE_BCHW), theirs(IMAGE_BCHW)) <= PARITY


@pytest.mark.parametrize("sub_norm", [False, True])
def test_the_norm_of_masked_pretraining_comes_behind_the_mean_as_in_timm(sub_norm, tmp_path):
    theirs = timms(0, sub_norm=sub_norm)
    names = in_authors_names(randomise(theirs))
    state = {name.replace("fc_norm", "norm"): tensor for name, tensor in names.items()}
    state |= {"mask_token": torch.ones(1, 1, 48), "lm_head.weight": torch.ones(7, 48), "lm_head.bias": torch.ones(7)}
    theirs.load_state_dict(timm().models.eva.checkpoint_filter_fn(state, theirs))
    with torch.inference_mode():
        net = loaded(saved(state, tmp_path), sub_norm=sub_norm, classes=0)
        assert relative_gap(net(IMAGE_BCHW), theirs(IMAGE_BCHW)) <= PARITY


def test_parts_taken_for_one_another_would_be_seen(tmp_path):
    """Value for gate, and key for query: the shapes fit."""
    theirs = timms(0, sub_norm=False)
    state = randomise(theirs)
    with torch.inference_mode():
        wanted_BD = theirs(IMAGE_BCHW)
        for name in ("blocks.0.mlp.fc1.weight", "blocks.0.attn.qkv.weight"):
            turned = state | {name: torch.cat(state[name].chunk(2 if "mlp" in name else 3)[::-1])}
            net = loaded(saved(turned, tmp_path), sub_norm=False, classes=0)
            assert relative_gap(net(IMAGE_BCHW), wanted_BD) > 1e-3


def test_an_unknown_name_is_an_error(tmp_path):
    state = randomise(timms(0, sub_norm=False)) | {"blocks.0.attn.relative_position_bias_table": torch.ones(3)}
    with pytest.raises(WeightsError, match=r"EVA-02.*1 unexpected"):
        read_weights(saved(state, tmp_path))
