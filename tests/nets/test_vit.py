"""The ViT computes what timm's computes, and would not if one of the known traps were in it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.references import randomise, relative_gap, timm_net
from vitrail.nets import vit
from vitrail.nets.vit import VIT_SIZES, VisionTransformer, build_vit

PARITY = 5e-6  # relative norm in float32; a wrong eps moves these features by 4e-5 at least


def small_vit(**options: object) -> VisionTransformer:
    sizes = {"image_size": 32, "patch": 8, "width": 48, "depth": 3, "heads": 3, "classes": 10}
    return VisionTransformer(**sizes | options).eval()


def small_timm(**options: object) -> nn.Module:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3, "num_classes": 10}
    return timm_net("vit_tiny_patch16_224", **sizes | options)


@pytest.fixture
def image_BCHW() -> Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def gaps(ours: nn.Module, theirs: nn.Module, image_BCHW: Tensor) -> tuple[float, float]:
    """How far features and logits are apart when both have the same random weights."""
    ours.load_state_dict(randomise(theirs), strict=True)
    with torch.inference_mode():
        feature_BD = theirs.forward_head(theirs.forward_features(image_BCHW), pre_logits=True)
        logit_BC = theirs(image_BCHW)
        return (
            relative_gap(ours.forward_features(image_BCHW), feature_BD),
            relative_gap(ours(image_BCHW), logit_BC),
        )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"patch": 4, "depth": 2}, {"patch_size": 4, "depth": 2}),
        ({"width": 40, "heads": 5}, {"embed_dim": 40, "num_heads": 5}),
        ({"mlp_width": 72}, {"mlp_ratio": 1.5}),
        ({"pooling": "mean"}, {"global_pool": "avg"}),
        ({"classes": 0}, {"num_classes": 0}),
    ],
)
def test_features_and_logits_are_timms(ours, theirs, image_BCHW):
    assert max(gaps(small_vit(**ours), small_timm(**theirs), image_BCHW)) <= PARITY


@pytest.mark.parametrize(
    ("size", "patch", "name"),
    [
        ("Ti", 16, "vit_tiny_patch16_224"),
        ("S", 32, "vit_small_patch32_224"),
        ("B", 16, "vit_base_patch16_224"),
        ("L", 16, "vit_large_patch16_224"),
        ("H", 14, "vit_huge_patch14_224"),
        ("S", 16, "deit_small_patch16_224"),
    ],
)
def test_every_named_size_has_timms_parameters(size, patch, name):
    with torch.device("meta"):
        ours = build_vit(size, patch)
        theirs = timm_net(name, num_classes=1000)
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }


def test_a_whole_tiny_network_is_timms():
    image_BCHW = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    assert max(gaps(build_vit("Ti").eval(), timm_net("vit_tiny_patch16_224"), image_BCHW)) <= PARITY


def wrong_eps(net: VisionTransformer) -> None:
    for module in net.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5


def tanh_gelu(net: VisionTransformer) -> None:
    for block in net.blocks:
        block.mlp.act = nn.GELU(approximate="tanh")


def quick_gelu(net: VisionTransformer) -> None:
    class Quick(nn.Module):
        def forward(self, value: Tensor) -> Tensor:
            return value * torch.sigmoid(1.702 * value)

    for block in net.blocks:
        block.mlp.act = Quick()


def repacked_qkv(net: VisionTransformer) -> None:
    """Read the rows of the one matrix as (A, 3, E): the same shape, another meaning."""
    for block in net.blocks:
        for name in ("weight", "bias"):
            rows = getattr(block.attn.qkv, name)
            repacked = rows.unflatten(0, (block.attn.heads, 3, -1)).transpose(0, 1).flatten(0, 2)
            setattr(block.attn.qkv, name, nn.Parameter(repacked))


def norm_of_tokens_then_mean(net: VisionTransformer) -> None:
    net.norm, net.fc_norm = net.fc_norm, nn.Identity()


def class_token_in_the_mean(net: VisionTransformer) -> None:
    net.forward_features = lambda image_BCHW: net.fc_norm(net.forward_tokens(image_BCHW).mean(dim=1))


def position_only_on_patches(net: VisionTransformer) -> None:
    """Add the position first and then join the class token, as DeiT-3 does."""
    net.pos_embed = nn.Parameter(torch.cat((torch.zeros_like(net.pos_embed[:, :1]), net.pos_embed[:, 1:]), dim=1))


@pytest.mark.parametrize(
    ("trap", "pooling", "moves_at_least"),
    [
        (wrong_eps, "cls", 3e-5),
        (tanh_gelu, "cls", 3e-5),
        (quick_gelu, "cls", 1e-3),
        (repacked_qkv, "cls", 1e-2),
        (position_only_on_patches, "cls", 1e-2),
        (norm_of_tokens_then_mean, "mean", 1e-2),
        (class_token_in_the_mean, "mean", 1e-2),
    ],
)
def test_each_trap_would_break_the_parity(
    trap: Callable[[VisionTransformer], None], pooling, moves_at_least, image_BCHW
):
    image_BCHW = image_BCHW * (0.05 if trap is wrong_eps else 1)  # an eps shows where the variance is small
    theirs = small_timm(global_pool={"cls": "token", "mean": "avg"}[pooling])
    ours = small_vit(pooling=pooling)
    state = randomise(theirs)
    if trap is wrong_eps:
        state |= {name: 0.05 * state[name] for name in ("cls_token", "pos_embed", "patch_embed.proj.bias")}
        theirs.load_state_dict(state)
    ours.load_state_dict(state)
    with torch.inference_mode():
        wanted_BD = theirs.forward_head(theirs.forward_features(image_BCHW), pre_logits=True)
        assert relative_gap(ours.forward_features(image_BCHW), wanted_BD) <= PARITY
        trap(ours)
        assert relative_gap(ours.forward_features(image_BCHW), wanted_BD) > moves_at_least


def test_attention_scales_by_the_width_of_one_head(monkeypatch, image_BCHW):
    """By E, not by D: with three heads the two differ by the root of three."""
    ours, theirs = small_vit(), small_timm()
    right = vit.scaled_dot_product_attention

    def by_the_whole_width(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return right(query, key, value, scale=48**-0.5)

    assert max(gaps(ours, theirs, image_BCHW)) <= PARITY
    monkeypatch.setattr(vit, "scaled_dot_product_attention", by_the_whole_width)
    assert min(gaps(ours, theirs, image_BCHW)) > 1e-4


def test_patches_that_move_with_their_positions_change_nothing(image_BCHW):
    net = small_vit()
    randomise(net)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    square_BCHW = image_BCHW.unflatten(3, (4, 8)).unflatten(2, (4, 8)).transpose(3, 4)  # rows, columns of patches
    moved = square_BCHW.flatten(2, 3)[:, :, order].unflatten(2, (4, 4)).transpose(3, 4).flatten(2, 3).flatten(3, 4)
    with torch.inference_mode():
        before_BD = net.forward_features(image_BCHW)
        assert relative_gap(net.forward_features(moved), before_BD) > 1e-3
        net.pos_embed.copy_(torch.cat((net.pos_embed[:, :1], net.pos_embed[:, 1:][:, order]), dim=1))
        assert relative_gap(net.forward_features(moved), before_BD) <= PARITY


def test_tokens_come_out_class_first_and_the_feature_is_that_one(image_BCHW):
    net = small_vit()
    with torch.inference_mode():
        token_BLD = net.forward_tokens(image_BCHW)
        assert token_BLD.shape == (3, 17, 48)
        assert torch.equal(net.forward_features(image_BCHW), token_BLD[:, 0])


def test_without_classes_the_network_gives_its_feature(image_BCHW):
    net = small_vit(classes=0)
    with torch.inference_mode():
        assert torch.equal(net(image_BCHW), net.forward_features(image_BCHW))


@pytest.mark.parametrize("sizes", [{"image_size": 30}, {"heads": 5}])
def test_sizes_that_do_not_divide_are_refused(sizes):
    with pytest.raises(ValueError, match="multiple"):
        small_vit(**sizes)


def test_the_mini_size_is_small_enough_to_ship():
    net = build_vit("mini", 4, image_size=32, classes=0)
    assert sum(parameter.numel() for parameter in net.parameters()) <= 1_900_000  # float16: at most 4 MB
    assert VIT_SIZES["mini"].width == net.norm.weight.numel()
