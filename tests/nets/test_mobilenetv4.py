"""MobileNetV4 computes what timm's computes, and would not if a known trap were in it."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from tests.references import randomise, relative_gap, timm_net
from vitrail.nets.mobilenetv4 import MOBILENETV4_SIZES, InvertedBlock, MobileNetV4

PARITY = 5e-6  # relative norm in float32
NAMES = {"S": "mobilenetv4_conv_small", "M": "mobilenetv4_conv_medium"}
SIDES = [(64, 64), (65, 97)]  # odd sides show wrong padding


def both(size: str) -> tuple[MobileNetV4, nn.Module]:
    """Ours and timm's with the same random weights."""
    ours, theirs = MobileNetV4(MOBILENETV4_SIZES[size], classes=10).eval(), timm_net(NAMES[size], num_classes=10)
    ours.load_state_dict(randomise(theirs), strict=True)
    return ours, theirs


def noise(sides: tuple[int, int]) -> Tensor:
    return torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("size", NAMES)
def test_features_and_logits_are_timms(size, sides):
    (ours, theirs), image_BCHW = both(size), noise(sides)
    with torch.inference_mode():
        feature_BD = theirs.forward_head(theirs.forward_features(image_BCHW), pre_logits=True)
        assert feature_BD.shape == (2, 1280)
        assert relative_gap(ours.forward_features(image_BCHW), feature_BD) <= PARITY
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) <= PARITY


def tensorflows_padding(net: MobileNetV4) -> None:
    """SAME of TensorFlow: where stride 2 leaves one pixel too many, it is padded at the end."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            side = module.kernel_size[0] // 2
            module.padding = (0, 0)
            module.register_forward_pre_hook(
                lambda _, given, side=side: pad(given[0], (side - 1, side, side - 1, side))
            )


def tensorflows_eps(net: MobileNetV4) -> None:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3


def last_layer_before_the_mean(net: MobileNetV4) -> None:
    """As MobileNetV2 and EfficientNet have it."""

    def forward_features(image_BCHW: Tensor) -> Tensor:
        map_BDHW = relu(net.norm_head(net.conv_head(net.forward_map(image_BCHW))))
        return map_BDHW.mean(dim=(2, 3))

    net.forward_features = forward_features


def active_after(name: str):
    def trap(net: MobileNetV4) -> None:
        for module in net.modules():
            if isinstance(module, InvertedBlock) and getattr(module, name) is not None:
                getattr(module, name).register_forward_hook(lambda _, __, map_BCHW: relu(map_BCHW))

    trap.__name__ = f"active_after_{name}"
    return trap


def stride_on_the_first_depthwise(net: MobileNetV4) -> None:
    for module in net.modules():
        if isinstance(module, InvertedBlock) and module.dw_start is not None and module.dw_mid is not None:
            first, middle = module.dw_start.conv, module.dw_mid.conv
            first.stride, middle.stride = middle.stride, first.stride


def no_last_activation(net: MobileNetV4) -> None:
    net.forward_features = lambda image_BCHW: net.norm_head(
        net.conv_head(net.forward_map(image_BCHW).mean(dim=(2, 3), keepdim=True))
    ).flatten(1)


TRAPS = [
    tensorflows_padding,
    tensorflows_eps,
    last_layer_before_the_mean,
    active_after("dw_start"),
    active_after("pw_proj"),
    stride_on_the_first_depthwise,
    no_last_activation,
]


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
def test_each_trap_would_break_the_parity(trap):
    (ours, theirs), image_BCHW = both("S"), noise((64, 64))
    with torch.inference_mode():
        wanted_BD = theirs.forward_head(theirs.forward_features(image_BCHW), pre_logits=True)
        assert relative_gap(ours.forward_features(image_BCHW), wanted_BD) <= PARITY
        trap(ours)
        assert relative_gap(ours.forward_features(image_BCHW), wanted_BD) > 1e-4


def test_without_classes_the_network_gives_its_feature():
    net = MobileNetV4(MOBILENETV4_SIZES["S"], classes=0).eval()
    with torch.inference_mode():
        assert torch.equal(net(noise((64, 64))), net.forward_features(noise((64, 64))))
