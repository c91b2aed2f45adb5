"""The CLIP tower computes what timm's and transformers' compute, and would not if a known trap were in it."""

import pytest
import torch
from torch import Tensor, nn

from tests.nets.transformers_names import CLIP, load, models
from tests.references import randomise, relative_gap, timm_net
from vitrail.nets.clip import ClipConfig, ClipImageTower
from vitrail.nets.positions import PositionRule
from vitrail.nets.vit import VIT_SIZES, VitSize

PARITY = 5e-6  # relative norm in float32
EXACT = 1e-10  # in float64
WHOLE = [(32, 32), (40, 56), (72, 24)]  # timm wants whole patches
SIDES = [*WHOLE, (35, 50)]  # square and not, even and odd


def small_clip(*, positions: PositionRule = "bicubic-antialias", projection: int = 20) -> ClipImageTower:
    config = ClipConfig(size=VitSize(48, 3, 3), image_size=32, patch=8, projection=projection, positions=positions)
    return ClipImageTower(config).eval()


def small_timm() -> nn.Module:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3, "num_classes": 20}
    return timm_net("vit_base_patch16_clip_quickgelu_224", **sizes, dynamic_img_size=True)


def noise(sides: tuple[int, int]) -> Tensor:
    return torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("sides", WHOLE, ids=str)
def test_features_and_projections_are_timms(sides):
    ours, theirs, image_BCHW = small_clip(), small_timm(), noise(sides)
    ours.load_state_dict(randomise(theirs), strict=True)
    with torch.inference_mode():
        feature_BD = theirs.forward_head(theirs.forward_features(image_BCHW), pre_logits=True)
        assert relative_gap(ours.forward_features(image_BCHW), feature_BD) <= PARITY
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) <= PARITY


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_features_are_transformers(sides):
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 3, "patch_size": 8, "image_size": 32}
    theirs = models("clip").CLIPVisionModel(models("clip").CLIPVisionConfig(**sizes, intermediate_size=192))
    ours = small_clip(positions="bicubic", projection=0)
    state = randomise(ours)
    given = state | {"cls_token": state["cls_token"][0, 0], "pos_embed": state["pos_embed"][0]}
    theirs, ours, image_BCHW = load(theirs, given, CLIP, extra={}), ours.double(), noise(sides).double()
    with torch.inference_mode():
        feature_BD = theirs(image_BCHW, interpolate_pos_encoding=True).pooler_output
        assert relative_gap(ours.forward_features(image_BCHW), feature_BD) <= EXACT


@pytest.mark.parametrize(
    ("size", "patch", "activation", "name"),
    [
        ("B", 16, "quick_gelu", "vit_base_patch16_clip_quickgelu_224"),
        ("B", 32, "gelu", "vit_base_patch32_clip_224"),
        ("L", 14, "quick_gelu", "vit_large_patch14_clip_quickgelu_224"),
    ],
)
def test_every_size_has_timms_parameters_and_activation(size, patch, activation, name):
    with torch.device("meta"):
        ours = ClipImageTower(ClipConfig(size=VIT_SIZES[size], patch=patch, activation=activation))
        theirs = timm_net(name, num_classes=512)
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }
    assert type(ours.blocks[0].mlp.act).__name__.lower() == type(theirs.blocks[0].mlp.act).__name__.lower()


def exact_gelu(net: ClipImageTower) -> None:
    """What open_clip and timm warn of where OpenAI's weights are run as LAION's."""
    for block in net.blocks:
        block.mlp.act = nn.GELU()


def eps_of_vit(net: ClipImageTower) -> None:
    for module in net.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-6


def no_norm_before(net: ClipImageTower) -> None:
    net.norm_pre = nn.Identity()


@pytest.mark.parametrize(("trap", "moves_at_least"), [(exact_gelu, 1e-3), (eps_of_vit, 3e-5), (no_norm_before, 1e-2)])
def test_each_trap_would_break_the_parity(trap, moves_at_least):
    ours, theirs, image_BCHW = small_clip(), small_timm(), noise((32, 32))
    state = randomise(theirs)
    if trap is eps_of_vit:  # an eps shows where the variance is small
        image_BCHW = image_BCHW * 0.02
        state |= {name: 0.02 * state[name] for name in ("cls_token", "pos_embed")}
    theirs.load_state_dict(state)
    ours.load_state_dict(state)
    with torch.inference_mode():
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) <= PARITY
        trap(ours)
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) > moves_at_least


def test_without_a_projection_the_tower_gives_its_feature():
    net, image_BCHW = small_clip(projection=0), noise((32, 32))
    with torch.inference_mode():
        assert torch.equal(net(image_BCHW), net.forward_tokens(image_BCHW)[:, 0])
