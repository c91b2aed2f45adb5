"""Real pictures through real weights give the values that timm gave.

`../shared/golden/README.md` says how they were made and why the gap is measured in the norm, per picture.
"""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor, nn

from tests.references import relative_gap
from vitrail.backbones.build import build_net
from vitrail.backbones.cards import Card
from vitrail.backbones.catalogue import find_card
from vitrail.backbones.preprocess import normalise, to_pixels
from vitrail.backbones.weights import load_into
from vitrail.backbones.weights.safetensors import read_safetensors

pytestmark = pytest.mark.shared

GOLDEN = {
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "deit_tiny_patch16_224.fb_in1k": "deit_tiny_patch16_224.fb_in1k",
    "resnet50.pqf_in1k": "resnet50.tv_in1k",
    "resnet18.pqf_in1k": "resnet18.tv_in1k",
}
PIXEL_GAP = 1e-6  # absolute
FEATURE_GAP = 5e-6  # norm(ours - golden) / norm(golden)


def golden_of(shared: Path, weights: str) -> tuple[dict[str, Tensor], list[Path]]:
    with safe_open(shared / "golden" / f"{weights}.safetensors", "pt") as file:
        names = json.loads(file.metadata()["images"])
        return {key: file.get_tensor(key) for key in ("pixels", "features", "logits")}, [
            shared / "golden" / "images" / n for n in names
        ]


def loaded(shared: Path, weights: str, card: Card) -> nn.Module:
    net = build_net(card).eval()
    file = shared / "weights" / f"{weights}.safetensors"
    load_into(net, read_safetensors(file), file=file)
    return net


def preprocessed(images: list[Path], card: Card) -> Tensor:
    pixels = [to_pixels(Image.open(path).convert("RGB"), card.preprocessing) for path in images]
    return torch.cat([normalise(torch.from_numpy(pixel_HWC)[None], card.preprocessing) for pixel_HWC in pixels])


@pytest.mark.parametrize(("weights", "name"), GOLDEN.items())
def test_pixels_features_and_logits_are_the_golden_ones(weights, name, shared):
    card = find_card(name)
    golden, images = golden_of(shared, weights)
    net = loaded(shared, weights, card)
    image_BCHW = preprocessed(images, card)
    assert (image_BCHW - golden["pixels"]).abs().max() <= PIXEL_GAP
    with torch.inference_mode():
        assert relative_gap(net.forward_features(image_BCHW), golden["features"]) <= FEATURE_GAP
        assert relative_gap(net(image_BCHW), golden["logits"]) <= FEATURE_GAP


def layer_norm_of_torch(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5


def batch_norm_of_keras_applications(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3


def version_1(net: nn.Module) -> None:
    for module in net.modules():
        if hasattr(module, "conv3"):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride


def gelu_of_jax(net: nn.Module) -> None:
    for block in net.blocks:
        block.mlp.act = nn.GELU(approximate="tanh")


@pytest.mark.parametrize(
    ("weights", "trap"),
    [
        ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", layer_norm_of_torch),
        ("deit_tiny_patch16_224.fb_in1k", layer_norm_of_torch),
        ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", gelu_of_jax),
        ("resnet50.pqf_in1k", batch_norm_of_keras_applications),
        ("resnet50.pqf_in1k", version_1),
    ],
)
def test_each_trap_would_miss_the_golden_features(weights, trap, shared):
    golden, _ = golden_of(shared, weights)
    net = loaded(shared, weights, find_card(GOLDEN[weights]))
    trap(net)
    with torch.inference_mode():
        assert relative_gap(net.forward_features(golden["pixels"]), golden["features"]) > 5 * FEATURE_GAP


def test_the_cards_of_other_weights_would_miss_the_golden_pixels(shared):
    golden, images = golden_of(shared, "vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    for other in ("deit_tiny_patch16_224.fb_in1k", "resnet50.tv_in1k", "resnet50.a1_in1k"):
        assert (preprocessed(images, find_card(other)) - golden["pixels"]).abs().max() > 0.1
