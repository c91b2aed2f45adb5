"""BiT computes what timm's and transformers' compute, and would not if one of the known traps were in it."""

import importlib
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, pad, relu
from torch.utils.flop_counter import FlopCounterMode

from tests.references import randomise, relative_gap, timm, timm_net
from vitrail.nets import bit
from vitrail.nets.bit import BIT_SIZES, BiT, Bottleneck, StdConv, build_bit

PARITY = 5e-6  # relative norm in float32
EXACT = 1e-10  # in float64
SIDES = [(64, 64), (65, 97), (96, 63), (57, 57)]  # even and odd, square and not
BLOCKS = (2, 1, 2, 1)


def small_bit() -> BiT:
    return BiT(BLOCKS, widening=1, classes=10).eval()


def small_timm() -> nn.Module:
    build = timm().models.resnetv2._create_resnetv2_bit
    return build("resnetv2_50x1_bit", pretrained=False, layers=list(BLOCKS), width_factor=1, num_classes=10).eval()


def noise(rows: int, columns: int) -> Tensor:
    return torch.randn(2, 3, rows, columns, generator=torch.Generator().manual_seed(1))


def gaps(ours: BiT, theirs: nn.Module, image_BCHW: Tensor) -> tuple[float, float]:
    """How far features and logits are apart."""
    with torch.inference_mode():
        feature_BD = theirs.forward_head(theirs.forward_features(image_BCHW), pre_logits=True).flatten(1)
        return (
            relative_gap(ours.forward_features(image_BCHW), feature_BD),
            relative_gap(ours(image_BCHW), theirs(image_BCHW)),
        )


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_features_and_logits_are_timms(sides):
    ours, theirs = small_bit(), small_timm()
    ours.load_state_dict(randomise(theirs), strict=True)
    assert max(gaps(ours, theirs, noise(*sides))) <= PARITY


def test_without_a_classifier_the_feature_is_timms():
    ours, theirs = build_bit(classes=0).eval(), timm_net("resnetv2_50x1_bit", num_classes=0)
    ours.load_state_dict(randomise(theirs), strict=True)
    ours, theirs, image_BCHW = ours.double(), theirs.double(), noise(64, 64).double()
    with torch.inference_mode():
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) <= EXACT
        assert torch.equal(ours(image_BCHW), ours.forward_features(image_BCHW))


@pytest.mark.parametrize("size", ["50x1", "101x1"])
def test_whole_networks_are_timms(size):
    """In float64: after 50 layers float32 itself is 1e-5 away from both."""
    ours, theirs = build_bit(size, classes=10).eval(), timm_net(f"resnetv2_{size}_bit", num_classes=10)
    ours.load_state_dict(randomise(theirs), strict=True)
    ours, theirs = ours.double(), theirs.double()
    assert max(gaps(ours, theirs, noise(65, 97).double())) <= EXACT
    assert max(gaps(ours, theirs, noise(64, 64).double())) <= EXACT


def test_a_whole_network_is_timms_in_float32_too():
    ours, theirs = build_bit().eval(), timm_net("resnetv2_50x1_bit")
    ours.load_state_dict(randomise(theirs), strict=True)
    assert max(gaps(ours, theirs, noise(224, 224))) <= PARITY


def in_transformers_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's names as transformers has them; the classifier is a linear layer there."""
    renamed = {}
    for name, tensor in state.items():
        name = re.sub(r"^stem\.conv\.", "bit.embedder.convolution.", name)
        name = re.sub(r"^stages\.(\d)\.blocks\.", r"bit.encoder.stages.\1.layers.", name)
        name = re.sub(r"^norm\.", "bit.norm.", name)
        name = re.sub(r"^head\.fc\.", "classifier.1.", name)
        renamed[name] = tensor.flatten(1) if name == "classifier.1.weight" else tensor
    return renamed


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_logits_are_transformers(sides):
    bits: Any = importlib.import_module("transformers.models.bit")
    config = bits.BitConfig(depths=list(BLOCKS), num_labels=10)
    theirs, ours = bits.BitForImageClassification(config).double().eval(), small_bit()
    state = randomise(ours)
    theirs.load_state_dict(in_transformers_names(state), strict=True)
    with torch.inference_mode():
        image_BCHW = noise(*sides).double()
        assert relative_gap(ours.double()(image_BCHW), theirs(image_BCHW).logits) <= EXACT


@pytest.mark.parametrize(
    ("size", "parameters", "without_head", "gmacs", "width"),
    [
        ("50x1", 25_549_352, 23_500_352, 4.089, 2048),
        ("50x3", 217_319_080, 211_174_080, 36.082, 6144),
        ("101x1", 44_541_480, 42_492_480, 7.801, 2048),
        ("101x3", 387_934_888, 381_789_888, 69.492, 6144),
        ("152x2", 236_335_208, 232_238_208, 45.814, 4096),
        ("152x4", 936_533_224, 928_340_224, 182.777, 8192),
    ],
)
def test_every_size_has_the_known_parameters_and_multiply_adds_with_the_classifier(
    size, parameters, without_head, gmacs, width
):
    with torch.device("meta"):
        ours, headless, image_BCHW = build_bit(size), build_bit(size, classes=0), torch.empty(1, 3, 224, 224)
        theirs = timm_net(f"resnetv2_{size}_bit")
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }
    assert sum(parameter.numel() for parameter in ours.parameters()) == parameters
    assert sum(parameter.numel() for parameter in headless.parameters()) == without_head
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        assert ours(image_BCHW).shape == (1, 1000)
    with torch.inference_mode():
        assert headless(image_BCHW).shape == (1, width)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmacs, abs=6e-4)


def test_the_21k_classifier_makes_the_largest_network_a_fifth_larger():
    with torch.device("meta"):
        net = build_bit("152x4", classes=21_843)
    assert sum(parameter.numel() for parameter in net.parameters()) == 1_107_299_923


Trap = Callable[[pytest.MonkeyPatch], None]


def group_norm_eps_of_flax(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bit, "norm", lambda channels, eps: nn.GroupNorm(bit.GROUPS, channels, eps=1e-6))


def weight_eps_of_timms_default(patch: pytest.MonkeyPatch) -> None:
    """What StdConv2d has unless BiT asks for another."""
    patch.setattr(bit, "WEIGHT_EPS", 1e-6)


def weight_eps_outside_the_root(patch: pytest.MonkeyPatch) -> None:
    """The ViT hybrids' and big_vision's formula: (w - mean) / (std + 1e-5)."""

    def standardised(layer: StdConv) -> Tensor:
        deviation_O111, mean_O111 = torch.std_mean(layer.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        return (layer.weight - mean_O111) / (deviation_O111 + 1e-5)

    patch.setattr(StdConv, "standardised", standardised)


def unbiased_variance(patch: pytest.MonkeyPatch) -> None:
    def standardised(layer: StdConv) -> Tensor:
        variance_O111, mean_O111 = torch.var_mean(layer.weight, dim=(1, 2, 3), correction=1, keepdim=True)
        return (layer.weight - mean_O111) / torch.sqrt(variance_O111 + bit.WEIGHT_EPS)

    patch.setattr(StdConv, "standardised", standardised)


def axes_of_hwio(patch: pytest.MonkeyPatch) -> None:
    """Google's axes 0, 1, 2 are those of HWIO; in OIHW they leave one scale a column, not one an output."""

    def standardised(layer: StdConv) -> Tensor:
        variance, mean = torch.var_mean(layer.weight, dim=(0, 1, 2), correction=0, keepdim=True)
        return (layer.weight - mean) / torch.sqrt(variance + bit.WEIGHT_EPS)

    patch.setattr(StdConv, "standardised", standardised)


def border_of_minus_infinity(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bit, "pad", lambda map_BCHW, sides, *, value: pad(map_BCHW, sides, value=float("-inf")))


def padding_of_tensorflow(patch: pytest.MonkeyPatch) -> None:
    """SAME pads the 7x7 of stride 2 by (2, 3) where a side is even; torch pads (3, 3)."""

    def forward(stem: bit.Stem, image_BCHW: Tensor) -> Tensor:
        padded_BCHW = pad(image_BCHW, (2, 3, 2, 3))
        map_BCHW = conv2d(padded_BCHW, stem.conv.standardised(), stride=2)
        return max_pool2d(pad(map_BCHW, (1, 1, 1, 1)), kernel_size=3, stride=2)

    patch.setattr(bit.Stem, "forward", forward)


def stride_on_the_first_convolution(patch: pytest.MonkeyPatch) -> None:
    right = Bottleneck.__init__

    def build(block: Bottleneck, inputs: int, outputs: int, *, stride: int, first: bool, norm_eps: float) -> None:
        right(block, inputs, outputs, stride=stride, first=first, norm_eps=norm_eps)
        block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride

    patch.setattr(Bottleneck, "__init__", build)


def projection_before_the_norm(patch: pytest.MonkeyPatch) -> None:
    """Where version 1 has it."""

    def forward(block: Bottleneck, map_BCHW: Tensor) -> Tensor:
        kept_BCHW = map_BCHW if block.downsample is None else block.downsample(map_BCHW)
        active_BCHW = relu(block.norm2(block.conv1(relu(block.norm1(map_BCHW)))))
        return block.conv3(relu(block.norm3(block.conv2(active_BCHW)))) + kept_BCHW

    patch.setattr(Bottleneck, "forward", forward)


@pytest.mark.parametrize(
    ("trap", "small_weights", "moves_at_least"),
    [
        (group_norm_eps_of_flax, False, 1e-4),
        (weight_eps_of_timms_default, True, 1e-2),
        (weight_eps_outside_the_root, True, 1e-4),
        (unbiased_variance, False, 1e-4),
        (axes_of_hwio, False, 1e-2),
        (border_of_minus_infinity, False, 1e-3),
        (padding_of_tensorflow, False, 1e-2),
        (stride_on_the_first_convolution, False, 1e-2),
        (projection_before_the_norm, False, 1e-2),
    ],
)
def test_each_trap_would_break_the_parity(trap: Trap, small_weights, moves_at_least, monkeypatch):
    theirs, image_BCHW = small_timm(), noise(64, 96)
    state = randomise(theirs)
    if small_weights:  # an eps shows where the variance is small
        state = {name: 1e-2 * tensor if "conv" in name else tensor for name, tensor in state.items()}
    if trap is group_norm_eps_of_flax:
        image_BCHW = image_BCHW * 1e-4  # a nearly constant input, so that the variance after the stem is small
    theirs.load_state_dict(state)
    right = small_bit()
    right.load_state_dict(state)
    assert max(gaps(right, theirs, image_BCHW)) <= PARITY
    trap(monkeypatch)
    wrong = small_bit()
    wrong.load_state_dict(state)
    assert min(gaps(wrong, theirs, image_BCHW)) > moves_at_least


def test_an_odd_side_alone_would_not_show_tensorflows_padding(monkeypatch):
    """Why the sizes above are even and odd: at 57 SAME pads (3, 3), as torch does."""
    theirs = small_timm()
    state = randomise(theirs)
    right_BD = right_of(state)(noise(57, 57))
    monkeypatch.setattr(bit.Stem, "forward", same_padded_stem)
    assert relative_gap(right_of(state)(noise(57, 57)), right_BD) <= PARITY
    assert max(gaps(right_of(state), theirs, noise(64, 64))) > 1e-2


def right_of(state: dict[str, Tensor]) -> BiT:
    net = small_bit().requires_grad_(False)
    net.load_state_dict(state)
    return net


def same_padded_stem(stem: bit.Stem, image_BCHW: Tensor) -> Tensor:
    sides = [max((-(-side // 2) - 1) * 2 + 7 - side, 0) for side in reversed(image_BCHW.shape[2:])]
    padded_BCHW = pad(image_BCHW, [part for side in sides for part in (side // 2, side - side // 2)])
    map_BCHW = conv2d(padded_BCHW, stem.conv.standardised(), stride=2)
    return max_pool2d(pad(map_BCHW, (1, 1, 1, 1)), kernel_size=3, stride=2)


def test_a_border_of_zeros_wins_over_an_all_negative_map():
    stem = bit.Stem(4)
    negative_BCHW = -1 - torch.rand(1, 4, 9, 9, generator=torch.Generator().manual_seed(1))
    stem.conv = nn.Identity()
    pooled_BCHW = stem(negative_BCHW)
    assert (pooled_BCHW[:, :, 0] == 0).all()
    assert (pooled_BCHW[:, :, 1:-1, 1:-1] < 0).all()
    assert (max_pool2d(negative_BCHW, 3, stride=2, padding=1) < 0).all()


def test_standardised_weights_have_mean_0_and_variance_1():
    layer = StdConv(5, 4, 3).double()
    weight_OIHW = layer.standardised()
    assert weight_OIHW.mean(dim=(1, 2, 3)).abs().max() < 1e-12
    assert weight_OIHW.var(dim=(1, 2, 3), correction=0).allclose(torch.ones(4, dtype=torch.float64), atol=1e-5)


def test_googles_eps_is_another_by_less_than_a_thousandth():
    """Their 1e-10 and the field's 1e-8 differ by 5e-5 where weights have a deviation of 1e-2, as trained ones do."""
    layer = StdConv(64, 8, 3).double()
    nn.init.normal_(layer.weight, std=1e-2, generator=torch.Generator().manual_seed(1))
    variance, mean = torch.var_mean(layer.weight, dim=(1, 2, 3), correction=0, keepdim=True)
    googles = (layer.weight - mean) / torch.sqrt(variance + 1e-10)
    assert 1e-5 < relative_gap(layer.standardised(), googles) < 1e-4


def test_an_impulse_reaches_the_same_outputs_as_with_the_stride_on_the_3x3():
    """A stride on the first 1x1 never sees odd rows and columns; a stride on the 3x3 does."""
    block = Bottleneck(32, 128, stride=2, first=True).eval()
    nn.init.zeros_(block.downsample.conv.weight)
    impulse_BCHW = torch.zeros(1, 32, 6, 6)
    impulse_BCHW[:, ::2, 1, 1] = 1.0
    block.norm1 = block.norm2 = block.norm3 = nn.Identity()  # a norm would spread the impulse over the map
    with torch.inference_mode():
        seen_BCHW = block(impulse_BCHW)
    assert seen_BCHW[0, :, 0, 0].any()
    assert not seen_BCHW[0, :, 2, 2].any()


def test_timm_builds_bit_with_the_eps_we_name():
    """The constants above are timm's, read from the network that it builds."""
    theirs = timm().create_model("resnetv2_50x1_bit")
    assert {layer.eps for layer in theirs.modules() if hasattr(layer, "eps") and isinstance(layer, nn.Conv2d)} == {
        bit.WEIGHT_EPS
    }
    assert {layer.eps for layer in theirs.modules() if isinstance(layer, nn.GroupNorm)} == {bit.GROUP_NORM_EPS}
    assert set(BIT_SIZES) == {
        name.removeprefix("resnetv2_").removesuffix("_bit") for name in timm().list_models("resnetv2_*_bit")
    }
