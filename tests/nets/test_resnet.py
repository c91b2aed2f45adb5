"""The ResNet computes what torchvision's and timm's compute, and would not if a known trap were in it."""

import re

import pytest
import torch
from torch import Tensor, nn

from tests.nets.transformers_names import models
from tests.references import randomise, relative_gap, timm_net, torchvision
from vitrail.nets.resnet import BasicBlock, Bottleneck, BottleneckV1, ResNet, build_resnet

PARITY = 5e-6  # relative norm in float32
EXACT = 1e-10  # in float64


@pytest.fixture
def image_BCHW() -> Tensor:
    return torch.randn(2, 3, 65, 97, generator=torch.Generator().manual_seed(1))  # odd sides show wrong padding


def small_resnet(block: type[BasicBlock] | type[Bottleneck]) -> tuple[ResNet, nn.Module]:
    """A narrow network with two blocks a stage, and torchvision's of the same shape with the same random weights."""
    models = torchvision().models.resnet
    theirs = models.ResNet(
        models.BasicBlock if block is BasicBlock else models.Bottleneck, [2, 1, 2, 1], num_classes=10
    ).eval()
    ours = ResNet(block, [2, 1, 2, 1], classes=10).eval()
    ours.load_state_dict(randomise(theirs), strict=True)
    return ours, theirs


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_logits_are_torchvisions(block, image_BCHW):
    ours, theirs = small_resnet(block)
    with torch.inference_mode():
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) <= PARITY


@pytest.mark.parametrize(
    ("options", "theirs"), [((18,), "resnet18"), ((50,), "resnet50"), ((18, 10), "resnet18")], ids=str
)
def test_features_and_logits_are_timms(options, theirs):
    depth, classes = (*options, 1000)[:2]
    image_BCHW = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    reference = timm_net(theirs, num_classes=classes)
    net = build_resnet(depth, classes=classes).eval()
    net.load_state_dict(randomise(reference), strict=True)
    with torch.inference_mode():
        feature_BD = reference.forward_head(reference.forward_features(image_BCHW), pre_logits=True)
        assert relative_gap(net.forward_features(image_BCHW), feature_BD) <= PARITY
        assert relative_gap(net(image_BCHW), reference(image_BCHW)) <= PARITY


def in_transformers_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's names as transformers' ResNetModel has them."""
    kinds = {"conv": "convolution", "bn": "normalization"}
    renamed = {}
    for name, tensor in state.items():
        name = re.sub(r"^(conv|bn)1\.", lambda m: f"embedder.embedder.{kinds[m[1]]}.", name)
        name = re.sub(r"^layer(\d)\.(\d+)\.", lambda m: f"encoder.stages.{int(m[1]) - 1}.layers.{m[2]}.", name)
        name = re.sub(r"\.(conv|bn)(\d)\.", lambda m: f".layer.{int(m[2]) - 1}.{kinds[m[1]]}.", name)
        name = name.replace(".downsample.0.", ".shortcut.convolution.").replace(
            ".downsample.1.", ".shortcut.normalization."
        )
        renamed[name] = tensor
    return renamed


@pytest.mark.parametrize("sides", [(64, 64), (65, 97), (96, 63)], ids=str)
@pytest.mark.parametrize(
    ("block", "options"),
    [
        (BasicBlock, {"layer_type": "basic", "hidden_sizes": [16, 32, 64, 128]}),
        (Bottleneck, {"layer_type": "bottleneck", "hidden_sizes": [64, 128, 256, 512]}),
        (
            BottleneckV1,
            {"layer_type": "bottleneck", "hidden_sizes": [64, 128, 256, 512], "downsample_in_bottleneck": True},
        ),
    ],
)
def test_features_are_those_of_transformers(block, options, sides):
    """In both versions: transformers has a switch for the stride of the paper."""
    family = models("resnet")
    theirs = family.ResNetModel(family.ResNetConfig(depths=[2, 1, 2, 1], embedding_size=16, **options)).double().eval()
    ours = ResNet(block, [2, 1, 2, 1], classes=0, width=16).double().eval()
    theirs.load_state_dict(in_transformers_names(randomise(ours)), strict=True)
    image_BCHW = torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.inference_mode():
        feature_BD = theirs(image_BCHW).pooler_output.flatten(1)
        assert relative_gap(ours.forward_features(image_BCHW), feature_BD) <= EXACT


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_every_depth_has_torchvisions_parameters(depth):
    with torch.device("meta"):
        ours = build_resnet(depth)
        theirs = getattr(torchvision().models, f"resnet{depth}")()
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }


def stride_on_the_first_convolution(net: ResNet) -> None:
    """Version 1 of the paper and of keras.applications: the same weights, another function."""
    for module in net.modules():
        if isinstance(module, Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride


def keras_layer_eps(net: ResNet) -> None:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3


def keras_applications_eps(net: ResNet) -> None:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1.001e-5


def padding_of_tensorflow(net: ResNet) -> None:
    """SAME pads a 7x7 of stride 2 by (2, 3) where a side is even; torch pads (3, 3)."""
    net.conv1.padding = 0
    net.conv1.register_forward_pre_hook(lambda _, inputs: nn.functional.pad(inputs[0], (2, 3, 2, 3)))


@pytest.mark.parametrize(
    ("trap", "moves_at_least"),
    [
        (stride_on_the_first_convolution, 1e-2),
        (keras_layer_eps, 1e-3),
        (keras_applications_eps, 1e-5),
        (padding_of_tensorflow, 1e-3),
    ],
)
def test_each_trap_would_break_the_parity(trap, moves_at_least):
    image_BCHW = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    ours, theirs = small_resnet(Bottleneck)
    state = {
        name: tensor * 1e-4 if name.endswith("running_var") else tensor for name, tensor in theirs.state_dict().items()
    }  # an eps shows where the variance is small
    state |= {name: tensor * 1e-2 for name, tensor in state.items() if "conv" in name or "downsample.0" in name}
    for net in (ours, theirs):
        net.load_state_dict(state)
    with torch.inference_mode():
        wanted_BC = theirs(image_BCHW)
        assert relative_gap(ours(image_BCHW), wanted_BC) <= PARITY
        trap(ours)
        assert relative_gap(ours(image_BCHW), wanted_BC) > moves_at_least


def test_an_impulse_reaches_the_same_outputs_as_in_version_1_5():
    """A stride on the first 1x1 never sees odd rows and columns; a stride on the 3x3 does."""
    block = Bottleneck(4, 1, 2).eval()
    for name, parameter in block.named_parameters():
        nn.init.constant_(parameter, 0.0 if "downsample" in name else 1.0)
    impulse_BCHW = torch.zeros(1, 4, 6, 6)
    impulse_BCHW[:, :, 1, 1] = 1.0
    with torch.inference_mode():
        seen = block(impulse_BCHW) - block(torch.zeros_like(impulse_BCHW))
    assert seen[0, 0, 0, 0] > 0


def test_without_classes_the_network_gives_its_feature(image_BCHW):
    net = build_resnet(18, classes=0).eval()
    with torch.inference_mode():
        assert torch.equal(net(image_BCHW), net.forward_features(image_BCHW))


def test_the_mini_depth_keeps_small_images_and_is_small_enough_to_ship():
    net = build_resnet("mini", classes=0).eval()
    assert sum(parameter.numel() for parameter in net.parameters()) <= 1_900_000  # float16: at most 4 MB
    with torch.inference_mode():
        assert net.forward_map(torch.zeros(1, 3, 32, 32)).shape == (1, 256, 4, 4)


def test_version_1_has_the_same_parameters_and_is_another_function(image_BCHW):
    """The paper's own strides: on the first 1x1."""
    ours, paper = (ResNet(block, [1, 1, 1, 1], classes=0, width=16).eval() for block in (Bottleneck, BottleneckV1))
    paper.load_state_dict(randomise(ours), strict=True)
    strides = [(stage[0].conv1.stride[0], stage[0].conv2.stride[0]) for stage in (paper.layer1, paper.layer2)]
    assert strides == [(1, 1), (2, 1)]
    with torch.inference_mode():
        assert relative_gap(ours(image_BCHW), paper(image_BCHW)) > 1e-2


def test_keras_applications_strides_and_eps_can_be_built():
    with torch.device("meta"):
        net = build_resnet("50v1", norm_eps=1.001e-5)
    assert {module.eps for module in net.modules() if isinstance(module, nn.BatchNorm2d)} == {1.001e-5}
    assert {type(block) for stage in (net.layer1, net.layer4) for block in stage} == {BottleneckV1}
