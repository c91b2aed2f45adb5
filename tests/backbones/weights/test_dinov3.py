"""Files of DINOv3 by the names of Meta and of transformers compute the same in our network."""

import importlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.references import randomise, relative_gap, timm, timm_net, torchvision
from vitrail.backbones.weights import load_into, read_weights
from vitrail.core.errors import WeightsError
from vitrail.nets.dinov3 import DinoV3
from vitrail.nets.vit import VitSize

PARITY = 5e-6
IMAGE_BCHW = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))


def ours(*, gated: bool) -> DinoV3:
    return DinoV3(VitSize(48, 2, 3, mlp_width=96, gated_mlp=gated), patch=8).eval()


def saved(state: dict[str, Tensor], folder: Path) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    return folder / "model.safetensors"


def in_metas_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    parts = {
        "reg_token": "storage_tokens",
        "gamma_1": "ls1.gamma",
        "gamma_2": "ls2.gamma",
        "mlp.fc1_g": "mlp.w1",
        "mlp.fc1_x": "mlp.w2",
    }
    gated = any("fc1_g" in name for name in state)
    if gated:
        parts["mlp.fc2"] = "mlp.w3"
    renamed = {
        "mask_token": torch.ones(1, 48),
        "rope_embed.periods": torch.ones(4),
        "local_cls_norm.bias": torch.ones(48),
    }
    for name, tensor in state.items():
        for mine, theirs in parts.items():
            name = name.replace(mine, theirs)
        renamed[name] = tensor
        if name.endswith("qkv.weight"):
            renamed[name.replace("weight", "bias")] = torch.zeros(144)
            renamed[name.replace("weight", "bias_mask")] = torch.ones(144)
    return renamed


@pytest.mark.parametrize("gated", [False, True])
def test_metas_names_are_read_as_timm_reads_them(gated, tmp_path, capsys):
    name = "vit_small_plus_patch16_dinov3" if gated else "vit_small_patch16_dinov3"
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3, "mlp_ratio": 2.0}
    theirs = timm_net(name, **sizes, num_classes=0)
    state = randomise(ours(gated=gated))
    metas = in_metas_names(state)
    by_timm = timm().models.eva.checkpoint_filter_fn(metas, theirs)
    read = read_weights(saved(metas, tmp_path))
    assert read.keys() == by_timm.keys() == state.keys()
    assert all(torch.equal(read[name], by_timm[name]) for name in read)


def test_biases_that_are_not_zero_are_refused(tmp_path):
    metas = in_metas_names(ours(gated=False).state_dict())
    metas["blocks.1.attn.qkv.bias"][3] = 0.5
    with pytest.raises(WeightsError, match=r"Meta's DINOv3.*1 not zero: blocks\.1\.attn\.qkv\.bias"):
        read_weights(saved(metas, tmp_path))


@pytest.mark.parametrize("current", [False, True], ids=["as saved", "current names"])
@pytest.mark.parametrize("gated", [False, True])
def test_transformers_files_are_read(gated, current, tmp_path):
    torchvision()  # makes it importable here
    library = importlib.import_module("transformers")
    config = library.DINOv3ViTConfig(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=3,
        patch_size=8,
        intermediate_size=96,
        num_register_tokens=4,
        use_gated_mlp=gated,
        hidden_act="silu" if gated else "gelu",
    )
    theirs = library.DINOv3ViTModel(config).eval()
    randomise(theirs)
    for name, parameter in theirs.named_parameters():
        if name.endswith(("q_proj.bias", "v_proj.bias")):
            nn.init.zeros_(parameter)
    if current:
        saved(theirs.state_dict(), tmp_path)
    else:
        theirs.save_pretrained(tmp_path)
    net = ours(gated=gated)
    load_into(net, read_weights(tmp_path / "model.safetensors"), file=tmp_path)
    with torch.inference_mode():
        assert relative_gap(net(IMAGE_BCHW), theirs(IMAGE_BCHW).pooler_output) <= PARITY
