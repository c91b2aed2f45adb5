"""ConvNeXt computes what timm's and transformers' compute, and would not if a known trap were in it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.nets.transformers_names import models
from tests.references import randomise, relative_gap, timm, timm_net
from vitrail.nets import convnext
from vitrail.nets.convnext import CONVNEXT_SIZES, ConvNeXt, ConvNeXtSize, GlobalResponseNorm, MapNorm, Version

PARITY = 5e-6  # relative norm in float32
EXACT = 1e-10  # in float64
SMALL = ConvNeXtSize((1, 2, 1, 1), (16, 24, 32, 40))
SIDES = [(64, 64), (96, 64), (75, 109)]  # square and not; the last leaves pixels over at every stage


def small_convnext(version: Version, classes: int = 10) -> ConvNeXt:
    return ConvNeXt(SMALL, version=version, classes=classes).eval()


def small_timm(version: Version) -> nn.Module:
    options = {"depths": SMALL.blocks, "dims": SMALL.widths, "num_classes": 10}
    return timm_net({1: "convnext_tiny", 2: "convnextv2_tiny"}[version], **options)


def noise(*sides: int) -> Tensor:
    return torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1))


def both(version: Version) -> tuple[ConvNeXt, nn.Module]:
    """Ours and timm's with the same random weights."""
    ours, theirs = small_convnext(version), small_timm(version)
    ours.load_state_dict(randomise(theirs), strict=True)
    return ours, theirs


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("version", [1, 2])
def test_features_and_logits_are_timms(version, sides):
    (ours, theirs), image_BCHW = both(version), noise(*sides)
    with torch.inference_mode():
        feature_BD = theirs.forward_head(theirs.forward_features(image_BCHW), pre_logits=True)
        assert relative_gap(ours.forward_features(image_BCHW), feature_BD) <= PARITY
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) <= PARITY


def in_transformers_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    parts = {
        "stem.0": "embeddings.patch_embeddings",
        "stem.1": "embeddings.layernorm",
        "stages": "encoder.stages",
        "downsample": "downsampling_layer",
        ".blocks.": ".layers.",
        "conv_dw": "dwconv",
        ".norm.": ".layernorm.",
        "mlp.fc": "pwconv",
        "mlp.grn": "grn",
        "gamma": "layer_scale_parameter",
        "head.layernorm": "layernorm",
    }
    renamed = {}
    for name, tensor in state.items():
        for ours, theirs in parts.items():
            name = name.replace(ours, theirs)
        renamed[name] = tensor[None, None, None] if "grn" in name else tensor
    return renamed


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize(("version", "family", "name"), [(1, "convnext", "ConvNext"), (2, "convnextv2", "ConvNextV2")])
def test_features_are_those_of_transformers(version, family, name, sides):
    config = getattr(models(family), f"{name}Config")(
        depths=list(SMALL.blocks), hidden_sizes=list(SMALL.widths), layer_norm_eps=1e-6
    )
    theirs = getattr(models(family), f"{name}Model")(config).double().eval()
    ours = small_convnext(version, classes=0).double()
    theirs.load_state_dict(in_transformers_names(randomise(ours)), strict=True)
    image_BCHW = noise(*sides).double()
    with torch.inference_mode():
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW).pooler_output) <= EXACT


@pytest.mark.parametrize("size", CONVNEXT_SIZES)
@pytest.mark.parametrize("version", [1, 2])
def test_every_size_has_as_many_parameters_as_timms(size, version):
    """timm has 1 x 1 convolutions in the small ones, so shapes differ there."""
    timms = {"T": "tiny", "S": "small", "B": "base", "L": "large"}.get(size, size)
    with torch.device("meta"):
        ours = ConvNeXt(CONVNEXT_SIZES[size], version=version)
        theirs = timm_net(f"convnext{'v2' if version == 2 else ''}_{timms}")
    assert {key: value.numel() for key, value in ours.state_dict().items()} == {
        key: value.numel() for key, value in theirs.state_dict().items()
    }


def norm_then_mean(net: ConvNeXt) -> None:
    """The order of most other networks."""

    def forward_features(image_BCHW: Tensor) -> Tensor:
        map_BHWD = net.forward_map(image_BCHW).permute(0, 2, 3, 1)
        normed_BHWD: Tensor = net.head.norm(map_BHWD)
        return normed_BHWD.mean(dim=(1, 2))

    net.forward_features = forward_features


def no_layer_scale(net: ConvNeXt) -> None:
    for module in net.modules():
        if isinstance(module, convnext.Block):
            module.gamma = None


def silent_layer_scale(net: ConvNeXt) -> None:
    """As a file would leave it that was loaded without its gammas."""
    for module in net.modules():
        if isinstance(module, convnext.Block):
            nn.init.constant_(module.gamma, convnext.LAYER_SCALE_START)


def relative_over_the_pixels(net: ConvNeXt) -> None:
    """The mean of the responses over rows and columns, not over channels: then every channel is divided by itself."""

    def forward(norm: GlobalResponseNorm, map_BHWF: Tensor) -> Tensor:
        response_B11F = torch.linalg.vector_norm(map_BHWF, dim=(1, 2), keepdim=True)
        relative_B11F = response_B11F / (response_B11F.mean(dim=(1, 2), keepdim=True) + convnext.RESPONSE_NORM_EPS)
        return map_BHWF + norm.weight * (map_BHWF * relative_B11F) + norm.bias

    replace_response_norms(net, forward)


def response_of_each_pixel(net: ConvNeXt) -> None:
    """The norm over channels in place of rows and columns."""

    def forward(norm: GlobalResponseNorm, map_BHWF: Tensor) -> Tensor:
        response_BHW1 = torch.linalg.vector_norm(map_BHWF, dim=-1, keepdim=True)
        relative_BHW1 = response_BHW1 / (response_BHW1.mean(dim=(1, 2), keepdim=True) + convnext.RESPONSE_NORM_EPS)
        return map_BHWF + norm.weight * (map_BHWF * relative_BHW1) + norm.bias

    replace_response_norms(net, forward)


def without_the_input_of_the_response_norm(net: ConvNeXt) -> None:
    def forward(norm: GlobalResponseNorm, map_BHWF: Tensor) -> Tensor:
        response_B11F = torch.linalg.vector_norm(map_BHWF, dim=(1, 2), keepdim=True)
        relative_B11F = response_B11F / (response_B11F.mean(dim=-1, keepdim=True) + convnext.RESPONSE_NORM_EPS)
        return norm.weight * (map_BHWF * relative_B11F) + norm.bias

    replace_response_norms(net, forward)


def replace_response_norms(net: ConvNeXt, forward: Callable[[GlobalResponseNorm, Tensor], Tensor]) -> None:
    for module in net.modules():
        if isinstance(module, GlobalResponseNorm):
            module.forward = lambda map_BHWF, norm=module: forward(norm, map_BHWF)


def no_norm_before_halving(net: ConvNeXt) -> None:
    for stage in net.stages[1:]:
        stage.downsample[0] = nn.Identity()


@pytest.mark.parametrize(
    ("trap", "version"),
    [
        (norm_then_mean, 1),
        (norm_then_mean, 2),
        (no_layer_scale, 1),
        (silent_layer_scale, 1),
        (relative_over_the_pixels, 2),
        (response_of_each_pixel, 2),
        (without_the_input_of_the_response_norm, 2),
        (no_norm_before_halving, 1),
    ],
)
def test_each_trap_would_break_the_parity(trap, version):
    (ours, theirs), image_BCHW = both(version), noise(96, 64)
    with torch.inference_mode():
        wanted_BD = theirs.forward_head(theirs.forward_features(image_BCHW), pre_logits=True)
        assert relative_gap(ours.forward_features(image_BCHW), wanted_BD) <= PARITY
        trap(ours)
        assert relative_gap(ours.forward_features(image_BCHW), wanted_BD) > 1e-3


@pytest.mark.parametrize("wrong", [1e-5, 1e-12], ids=["torch's", "transformers'"])
def test_a_wrong_eps_of_the_norms_would_show_on_small_values(wrong):
    norm = MapNorm(16, eps=convnext.LAYER_NORM_EPS)
    map_BCHW = 1e-3 * torch.randn(2, 16, 5, 7, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        right_BCHW = norm(map_BCHW)
        norm.eps = wrong
        assert relative_gap(norm(map_BCHW), right_BCHW) > 0.1


def test_a_wrong_eps_of_the_response_norm_would_show_on_small_values(monkeypatch):
    theirs, ours = timm().layers.grn.GlobalResponseNorm(16), GlobalResponseNorm(16)
    ours.load_state_dict(randomise(theirs) | {"bias": torch.zeros(16)})
    theirs.load_state_dict(ours.state_dict())
    map_BHWF = 1e-7 * torch.randn(2, 5, 7, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted_BHWF = theirs(map_BHWF)
        assert relative_gap(ours(map_BHWF), wanted_BHWF) <= PARITY
        monkeypatch.setattr(convnext, "RESPONSE_NORM_EPS", 1e-5)
        assert relative_gap(ours(map_BHWF), wanted_BHWF) > 0.1


def test_without_classes_the_network_gives_its_feature():
    net = small_convnext(2, classes=0)
    with torch.inference_mode():
        assert torch.equal(net(noise(64, 64)), net.forward_features(noise(64, 64)))
