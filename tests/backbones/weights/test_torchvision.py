"""torchvision's ViT files compute the same in our network; its ResNets' names are ours."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.references import randomise, relative_gap, torchvision
from vitrail.backbones.weights import load_into, read_weights
from vitrail.nets.resnet import build_resnet
from vitrail.nets.vit import VisionTransformer, VitConfig, VitSize

PARITY = 5e-6
PUBLISHED_MLP = {"mlp.0": "mlp.linear_1", "mlp.3": "mlp.linear_2"}  # what torchvision renames when it loads its files


def theirs() -> nn.Module:
    net: nn.Module = torchvision().models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=3, hidden_dim=48, mlp_dim=192, num_classes=5
    )
    return net.eval()


@pytest.mark.parametrize("published", [False, True])
def test_a_vit_computes_what_torchvisions_computes(published, tmp_path: Path):
    reference = theirs()
    state = randomise(reference)
    for now, then in PUBLISHED_MLP.items() if published else ():
        state = {name.replace(now, then): tensor for name, tensor in state.items()}
    torch.save(state, tmp_path / "vit.pth")
    ours = VisionTransformer(VitConfig(size=VitSize(48, 2, 3), image_size=32, patch=8, classes=5)).eval()
    load_into(ours, read_weights(tmp_path / "vit.pth"), file=tmp_path)
    image_BCHW = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert relative_gap(ours(image_BCHW), reference(image_BCHW)) <= PARITY


def test_a_resnets_pth_loads_as_it_is(tmp_path: Path):
    state = randomise(torchvision().models.resnet18(num_classes=5))
    torch.save(state, tmp_path / "resnet18.pth")
    load_into(build_resnet(18, classes=5), read_weights(tmp_path / "resnet18.pth"), file=tmp_path)
