"""Weights that were only pretrained as a masked autoencoder have a plain last norm, as in timm; others need one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.references import randomise, relative_gap, timm_net
from vitrail.backbones.backbone import load_file
from vitrail.backbones.catalogue import find_card
from vitrail.core.errors import WeightsError
from vitrail.nets.convnext import CONVNEXT_SIZES, ConvNeXt

PARITY = 5e-6
IMAGE_BCHW = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def saved(state: dict[str, Tensor], folder: Path) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    return folder / "model.safetensors"


@pytest.mark.parametrize("with_norm", [False, True])
def test_fcmae_alone_has_a_plain_last_norm_and_gives_what_timm_gives(with_norm, tmp_path):
    card = find_card("convnextv2_atto.fcmae")
    theirs = timm_net("convnextv2_atto", num_classes=0)
    state = randomise(theirs)
    nn.init.ones_(theirs.head.norm.weight)
    nn.init.zeros_(theirs.head.norm.bias)
    if not with_norm:
        state = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    else:
        state |= theirs.head.state_dict(prefix="head.")
    net = load_file(card, saved(state, tmp_path))
    with torch.inference_mode():
        assert relative_gap(net(IMAGE_BCHW), theirs(IMAGE_BCHW)) <= PARITY


def test_another_card_without_its_last_norm_is_an_error(tmp_path):
    state = randomise(ConvNeXt(CONVNEXT_SIZES["atto"], version=2, classes=0))
    file = saved({name: tensor for name, tensor in state.items() if not name.startswith("head.")}, tmp_path)
    card = find_card("convnextv2_atto.fcmae")
    finetuned = replace(card, variant={"size": "atto", "version": 2})
    with pytest.raises(WeightsError, match=r"2 missing: head\.norm\.weight"):
        load_file(finetuned, file)
