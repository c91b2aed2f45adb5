"""MobileNetV4, convolutional: a small network for telephones and other devices at the edge.

Qin et al., "MobileNetV4 -- Universal Models for the Mobile Ecosystem", arXiv:2404.10518. The universal inverted
bottleneck widens the channels, mixes neighbours and narrows again; a depthwise convolution may come before the
widening, after it, at both places or at neither. Each convolution has a batch norm; there is no activation after the
first depthwise convolution and after the narrowing. The last layer before the classifier comes after the mean over the
map, so the feature has 1,280 numbers.
Parameters carry timm's names (mobilenetv4_conv_small and its sisters), so the field's weights load as they are. Padding
is the same on both sides, as timm trained its weights, and not TensorFlow's.

Letters: B images, C channels, H rows, W columns, D width of the feature.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import relu

BATCH_NORM_EPS = 1e-5  # timm's, with which its weights were trained; TensorFlow's MobileNets have 1e-3
STEM_WIDTH, LAST_WIDTH, FEATURE_WIDTH = 32, 960, 1280


@dataclass(frozen=True, slots=True)
class Plain:
    """One convolution with an activation."""

    kernel: int
    width: int
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Fused:
    """A block whose widening is itself a convolution over neighbours; the paper's FusedIB."""

    kernel: int
    width: int
    ratio: int
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Inverted:
    """A universal inverted bottleneck: kernels of its two depthwise convolutions, 0 for none.

    The paper calls the four kinds inverted bottleneck (middle alone), ConvNext (first alone), ExtraDW (both) and FFN
    (neither).
    """

    first: int
    middle: int
    width: int
    ratio: int
    stride: int = 1


Layer = Plain | Fused | Inverted

# timm 1.0.31, timm/models/mobilenetv3.py, _gen_mobilenet_v4. The stem halves the image, and each stage but the last
# halves the map.
MOBILENETV4_SIZES: dict[str, tuple[tuple[Layer, ...], ...]] = {
    "S": (
        (Plain(3, 32, stride=2), Plain(1, 32)),
        (Plain(3, 96, stride=2), Plain(1, 64)),
        (Inverted(5, 5, 96, 3, stride=2), *[Inverted(0, 3, 96, 2)] * 4, Inverted(3, 0, 96, 4)),
        (
            Inverted(3, 3, 128, 6, stride=2),
            Inverted(5, 5, 128, 4),
            Inverted(0, 5, 128, 4),
            Inverted(0, 5, 128, 3),
            *[Inverted(0, 3, 128, 4)] * 2,
        ),
        (Plain(1, LAST_WIDTH),),
    ),
    "M": (
        (Fused(3, 48, 4, stride=2),),
        (Inverted(3, 5, 80, 4, stride=2), Inverted(3, 3, 80, 2)),
        (
            Inverted(3, 5, 160, 6, stride=2),
            *[Inverted(3, 3, 160, 4)] * 2,
            Inverted(3, 5, 160, 4),
            Inverted(3, 3, 160, 4),
            Inverted(3, 0, 160, 4),
            Inverted(0, 0, 160, 2),
            Inverted(3, 0, 160, 4),
        ),
        (
            Inverted(5, 5, 256, 6, stride=2),
            Inverted(5, 5, 256, 4),
            *[Inverted(3, 5, 256, 4)] * 2,
            Inverted(0, 0, 256, 4),
            Inverted(3, 0, 256, 4),
            Inverted(3, 5, 256, 2),
            Inverted(5, 5, 256, 4),
            *[Inverted(0, 0, 256, 4)] * 2,
            Inverted(5, 0, 256, 2),
        ),
        (Plain(1, LAST_WIDTH),),
    ),
}


def conv(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps rows and columns at stride 1; without bias, since a batch norm follows."""
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)


class ConvNorm(nn.Module):
    """A convolution and its batch norm."""

    def __init__(self, layer: nn.Conv2d, eps: float) -> None:
        super().__init__()
        self.conv = layer
        self.bn = nn.BatchNorm2d(layer.out_channels, eps=eps)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The new map."""
        normed_BCHW: Tensor = self.bn(self.conv(map_BCHW))
        return normed_BCHW


class PlainBlock(nn.Module):
    """A convolution, its batch norm and the activation."""

    def __init__(self, inputs: int, layer: Plain, eps: float) -> None:
        super().__init__()
        self.conv = conv(inputs, layer.width, layer.kernel, stride=layer.stride)
        self.bn1 = nn.BatchNorm2d(layer.width, eps=eps)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map after this block."""
        return relu(self.bn1(self.conv(map_BCHW)))


class FusedBlock(nn.Module):
    """Widen over neighbours, then narrow; no shortcut, since it halves the map."""

    def __init__(self, inputs: int, layer: Fused, eps: float) -> None:
        super().__init__()
        hidden = layer.ratio * inputs
        self.conv_exp = conv(inputs, hidden, layer.kernel, stride=layer.stride)
        self.bn1 = nn.BatchNorm2d(hidden, eps=eps)
        self.conv_pwl = conv(hidden, layer.width, 1)
        self.bn2 = nn.BatchNorm2d(layer.width, eps=eps)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map after this block."""
        wide_BCHW = relu(self.bn1(self.conv_exp(map_BCHW)))
        output_BCHW: Tensor = self.bn2(self.conv_pwl(wide_BCHW))
        return output_BCHW


class InvertedBlock(nn.Module):
    """Mix neighbours, widen, mix neighbours, narrow; the input is added where the shape stays."""

    def __init__(self, inputs: int, layer: Inverted, eps: float) -> None:
        super().__init__()
        hidden = layer.ratio * inputs
        self.adds_input = inputs == layer.width and layer.stride == 1
        # Of two depthwise convolutions the second skips pixels, so that the first sees all of them.
        first_stride = 1 if layer.middle else layer.stride
        self.dw_start = self._depthwise(inputs, layer.first, first_stride, eps)
        self.pw_exp = ConvNorm(conv(inputs, hidden, 1), eps)
        self.dw_mid = self._depthwise(hidden, layer.middle, layer.stride, eps)
        self.pw_proj = ConvNorm(conv(hidden, layer.width, 1), eps)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map after this block."""
        start_BCHW = map_BCHW if self.dw_start is None else self.dw_start(map_BCHW)
        wide_BCHW = relu(self.pw_exp(start_BCHW))
        if self.dw_mid is not None:
            wide_BCHW = relu(self.dw_mid(wide_BCHW))
        narrow_BCHW: Tensor = self.pw_proj(wide_BCHW)
        return map_BCHW + narrow_BCHW if self.adds_input else narrow_BCHW

    @staticmethod
    def _depthwise(channels: int, kernel: int, stride: int, eps: float) -> ConvNorm | None:
        return ConvNorm(conv(channels, channels, kernel, stride=stride, groups=channels), eps) if kernel else None


class MobileNetV4(nn.Module):
    """A stem, five stages, the mean over the map, and one more layer."""

    def __init__(
        self, stages: tuple[tuple[Layer, ...], ...], *, classes: int = 1000, norm_eps: float = BATCH_NORM_EPS
    ) -> None:
        """Build the network with random weights, in training mode; 0 `classes` leave the classifier out."""
        super().__init__()
        self.conv_stem = conv(3, STEM_WIDTH, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(STEM_WIDTH, eps=norm_eps)
        self.blocks = nn.Sequential()
        width = STEM_WIDTH
        for layers in stages:
            stage = nn.Sequential()
            for layer in layers:
                stage.append(build_block(width, layer, norm_eps))
                width = layer.width
            self.blocks.append(stage)
        self.conv_head = conv(width, FEATURE_WIDTH, 1)
        self.norm_head = nn.BatchNorm2d(FEATURE_WIDTH, eps=norm_eps)
        self.classifier = nn.Linear(FEATURE_WIDTH, classes) if classes else nn.Identity()
        self._initialise()

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The logits of the pretraining classes, `logit_BC`."""
        logit_BC: Tensor = self.classifier(self.forward_features(image_BCHW))
        return logit_BC

    def forward_features(self, image_BCHW: Tensor) -> Tensor:
        """One vector an image, `feature_BD`: the mean over the last map, then the last layer."""
        mean_BC11 = self.forward_map(image_BCHW).mean(dim=(2, 3), keepdim=True)
        return relu(self.norm_head(self.conv_head(mean_BC11))).flatten(1)

    def forward_map(self, image_BCHW: Tensor) -> Tensor:
        """The last map, `map_BCHW` with 960 channels, 32 times smaller than the image."""
        map_BCHW: Tensor = self.blocks(relu(self.bn1(self.conv_stem(image_BCHW))))
        return map_BCHW

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def build_block(inputs: int, layer: Layer, eps: float) -> nn.Module:
    """The block of a row of the table."""
    match layer:
        case Plain():
            return PlainBlock(inputs, layer, eps)
        case Fused():
            return FusedBlock(inputs, layer, eps)
        case Inverted():
            return InvertedBlock(inputs, layer, eps)
