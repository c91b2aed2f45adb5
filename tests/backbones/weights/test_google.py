"""Google's files compute in our networks what they compute in timm's, which reads them by code of its own."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.backbones.weights.google_files import bit_arrays, vit_arrays, write_npz
from tests.references import relative_gap, timm, timm_net
from vitrail.backbones.weights import google, load_into, read_weights
from vitrail.backbones.weights.npz import read_npz
from vitrail.backbones.weights.renaming import Layout, to_ours
from vitrail.core.errors import WeightsError
from vitrail.nets.bit import BiT
from vitrail.nets.vit import VisionTransformer, VitConfig, VitSize

PARITY = 5e-6
VIT = {"width": 48, "heads": 3, "depth": 2, "patch": 8}
BLOCKS = (1, 2, 1, 1)


@pytest.fixture
def vit_file(tmp_path: Path) -> Path:
    return write_npz(tmp_path / "vit.npz", vit_arrays(**VIT, tokens=17, classes=5))


@pytest.fixture
def bit_file(tmp_path: Path) -> Path:
    return write_npz(tmp_path / "bit.npz", bit_arrays(blocks=BLOCKS, classes=5))


def our_vit(state: dict[str, Tensor], file: Path, *, classes: int = 5) -> nn.Module:
    net = VisionTransformer(VitConfig(size=VitSize(48, 2, 3), image_size=32, patch=8, classes=classes))
    load_into(net, state, file=file)
    return net.eval()


def their_vit(file: Path) -> nn.Module:
    net = timm_net("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=3, num_classes=5)
    net.load_pretrained(str(file))
    return net


def image(side: int = 32) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def logits(net: nn.Module, image_BCHW: Tensor) -> Tensor:
    with torch.inference_mode():
        return net(image_BCHW)


def test_a_vit_computes_what_timm_computes_with_the_same_file(vit_file):
    ours = our_vit(read_weights(vit_file), vit_file)
    assert relative_gap(logits(ours, image()), logits(their_vit(vit_file), image())) <= PARITY


def test_a_bit_computes_what_timm_computes_with_the_same_file(bit_file):
    ours = BiT(BLOCKS, widening=1, classes=5).eval()
    load_into(ours, read_weights(bit_file), file=bit_file)
    build = timm().models.resnetv2._create_resnetv2_bit
    theirs = build("resnetv2_50x1_bit", pretrained=False, layers=list(BLOCKS), width_factor=1, num_classes=5).eval()
    theirs.load_pretrained(str(bit_file))
    assert relative_gap(logits(ours, image(64)), logits(theirs, image(64))) <= PARITY


def with_mistake(ours: str, **changes: object) -> Layout:
    rows = [replace(row, **changes) if row.ours == ours else row for row in google.VIT.table]
    return replace(google.VIT, table=tuple(rows))


ATTENTION = google.ATTENTION
MISTAKES = {
    "key before query": with_mistake(
        "blocks.#.attn.qkv.weight", theirs=tuple(f"{ATTENTION}/{part}/kernel" for part in ("key", "query", "value"))
    ),
    "heads inside each head's numbers": with_mistake(
        "blocks.#.attn.qkv.weight",
        change=lambda *kernel_DAE: torch.cat([k.transpose(1, 2).flatten(1).transpose(0, 1) for k in kernel_DAE]),
    ),
    "out projection not turned": with_mistake(
        "blocks.#.attn.proj.weight", change=lambda kernel_AED: kernel_AED.flatten(0, 1)
    ),
    "patches' rows for columns": with_mistake(
        "patch_embed.proj.weight", change=lambda kernel_HWIO: kernel_HWIO.permute(3, 2, 1, 0)
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_that_keeps_every_shape_would_be_seen(mistake, vit_file):
    wrong = our_vit(to_ours(read_npz(vit_file), MISTAKES[mistake], file=vit_file), vit_file)
    assert relative_gap(logits(wrong, image()), logits(their_vit(vit_file), image())) > 0.05


def test_the_representation_layer_and_the_classifier_behind_it_are_left_out(tmp_path):
    arrays = vit_arrays(**VIT, tokens=17, classes=5)
    plain = read_weights(write_npz(tmp_path / "plain.npz", arrays))
    arrays |= {
        "pre_logits/kernel": arrays["head/kernel"].repeat(9, 1),
        "pre_logits/bias": arrays["head/bias"].repeat(9),
    }
    state = read_weights(write_npz(tmp_path / "first.npz", arrays))
    assert set(plain) - set(state) == {"head.weight", "head.bias"}
    our_vit(state, tmp_path, classes=0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arrays: arrays | {"Transformer/surprise": arrays["cls"]}, "1 unexpected: Transformer/surprise"),
        (lambda arrays: {k: v for k, v in arrays.items() if "1/key/kernel" not in k}, "1 missing: .*/key/kernel"),
        (lambda arrays: arrays | {"embedding/kernel": arrays["head/kernel"]}, "misshapen: embedding/kernel"),
    ],
)
def test_what_does_not_belong_together_is_an_error(change, said, tmp_path):
    file = write_npz(tmp_path / "odd.npz", change(vit_arrays(**VIT, tokens=17, classes=5)))
    with pytest.raises(WeightsError, match=rf"odd\.npz.*Google's ViT.*{said}.*Check that"):
        read_weights(file)


def test_a_block_that_is_there_under_two_numbers_is_an_error(tmp_path):
    arrays = bit_arrays(blocks=(1, 1, 1, 1), classes=5)
    name = "resnet/block1/unit01/a/standardized_conv2d/kernel"
    file = write_npz(tmp_path / "twice.npz", arrays | {name.replace("unit01", "unit1"): arrays[name]})
    with pytest.raises(WeightsError, match="1 duplicate"):
        read_weights(file)
