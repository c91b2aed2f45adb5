"""The residual network, in the form called v1.5.

He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385 (figures 3 and 5, table 1),
but for the stride of a bottleneck that halves the map: the paper has it on the first 1x1 convolution,
v1.5 on the 3x3, as do torchvision and timm. Weights load in either and are right in one.
Parameters carry torchvision's names, so the field's weights load as they are.

Letters: B images, C channels, H rows, W columns, D width of the feature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn.functional import relu

Stem = Literal["imagenet", "small"]

BATCH_NORM_EPS = 1e-5  # torchvision's; keras.applications has 1.001e-5, keras itself 1e-3
BATCH_NORM_MOMENTUM = 0.1  # torch's meaning: the weight of the new batch


def conv(inputs: int, outputs: int, size: int, *, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps rows and columns at stride 1; without bias, since a batch norm follows."""
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)


def norm(channels: int, eps: float) -> nn.BatchNorm2d:
    """A batch norm."""
    return nn.BatchNorm2d(channels, eps=eps, momentum=BATCH_NORM_MOMENTUM)


def shortcut(inputs: int, outputs: int, stride: int, eps: float) -> nn.Sequential | None:
    """The projection W_s of equation 2, only where the shape changes (option B of the paper); else the identity."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(conv(inputs, outputs, 1, stride=stride), norm(outputs, eps))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (figure 5, left): ResNet-18 and 34."""

    expansion: ClassVar[int] = 1

    def __init__(self, inputs: int, width: int, stride: int, eps: float = BATCH_NORM_EPS) -> None:
        super().__init__()
        self.conv1 = conv(inputs, width, 3, stride=stride)
        self.bn1 = norm(width, eps)
        self.conv2 = conv(width, width, 3)
        self.bn2 = norm(width, eps)
        self.downsample = shortcut(inputs, width, stride, eps)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map after this block."""
        kept_BCHW = map_BCHW if self.downsample is None else self.downsample(map_BCHW)
        map_BCHW = relu(self.bn1(self.conv1(map_BCHW)))
        map_BCHW = self.bn2(self.conv2(map_BCHW))
        return relu(map_BCHW + kept_BCHW)


class Bottleneck(nn.Module):
    """1x1 to narrow, 3x3, 1x1 to widen four times, and a shortcut (figure 5, right): ResNet-50 and deeper."""

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, width: int, stride: int, eps: float = BATCH_NORM_EPS) -> None:
        super().__init__()
        self.conv1 = conv(inputs, width, 1)
        self.bn1 = norm(width, eps)
        self.conv2 = conv(width, width, 3, stride=stride)  # v1.5: the stride is here
        self.bn2 = norm(width, eps)
        self.conv3 = conv(width, width * self.expansion, 1)
        self.bn3 = norm(width * self.expansion, eps)
        self.downsample = shortcut(inputs, width * self.expansion, stride, eps)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map after this block."""
        kept_BCHW = map_BCHW if self.downsample is None else self.downsample(map_BCHW)
        map_BCHW = relu(self.bn1(self.conv1(map_BCHW)))
        map_BCHW = relu(self.bn2(self.conv2(map_BCHW)))
        map_BCHW = self.bn3(self.conv3(map_BCHW))
        return relu(map_BCHW + kept_BCHW)


class BottleneckV1(Bottleneck):
    """The paper's own bottleneck, which keras.applications has kept: the first 1x1 skips every second pixel."""

    def __init__(self, inputs: int, width: int, stride: int, eps: float = BATCH_NORM_EPS) -> None:
        super().__init__(inputs, width, stride, eps)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride


class ResNet(nn.Module):
    """A stem, four stages of blocks that double the width and halve the map, and the mean over the map."""

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        blocks: Sequence[int],
        *,
        classes: int,
        width: int = 64,
        stem: Stem = "imagenet",
        norm_eps: float = BATCH_NORM_EPS,
    ) -> None:
        """Build the network with random weights.

        `blocks` are the numbers of blocks in the four stages, and `width` the channels of the stem and of the first
        stage's 3x3 convolutions. With 0 classes there is no `fc`, and `forward` gives the feature. The stem "imagenet"
        is the paper's, 7x7 with stride 2 and a max pool; "small" keeps every pixel of a 32 x 32 image: 3x3 with stride
        1 and no pool.
        """
        super().__init__()
        small = stem == "small"
        self.conv1 = conv(3, width, 3) if small else conv(3, width, 7, stride=2)
        self.bn1 = norm(width, norm_eps)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        channels = [width * 2**stage for stage in range(4)]
        outputs = [count * block.expansion for count in channels]
        self.layer1 = _stage(block, blocks[0], width, channels[0], stride=1, eps=norm_eps)
        self.layer2 = _stage(block, blocks[1], outputs[0], channels[1], stride=2, eps=norm_eps)
        self.layer3 = _stage(block, blocks[2], outputs[1], channels[2], stride=2, eps=norm_eps)
        self.layer4 = _stage(block, blocks[3], outputs[2], channels[3], stride=2, eps=norm_eps)
        self.fc = nn.Linear(outputs[3], classes) if classes else nn.Identity()
        self._initialise()

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The logits of the pretraining classes, `logit_BC`."""
        logit_BC: Tensor = self.fc(self.forward_features(image_BCHW))
        return logit_BC

    def forward_features(self, image_BCHW: Tensor) -> Tensor:
        """One vector an image, `feature_BD`: the mean over the last map."""
        return self.forward_map(image_BCHW).mean(dim=(2, 3))

    def forward_map(self, image_BCHW: Tensor) -> Tensor:
        """The last map, `map_BDHW`, 32 times smaller than the image (8 times with the small stem)."""
        map_BCHW = relu(self.bn1(self.conv1(image_BCHW)))
        map_BCHW = self.maxpool(map_BCHW)
        map_BCHW = self.layer1(map_BCHW)
        map_BCHW = self.layer2(map_BCHW)
        map_BCHW = self.layer3(map_BCHW)
        map_BDHW: Tensor = self.layer4(map_BCHW)
        return map_BDHW

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _stage(
    block: type[BasicBlock] | type[Bottleneck], count: int, inputs: int, width: int, *, stride: int, eps: float
) -> nn.Sequential:
    first = block(inputs, width, stride, eps)
    return nn.Sequential(first, *(block(width * block.expansion, width, 1, eps) for _ in range(count - 1)))


@dataclass(frozen=True, slots=True)
class ResNetSize:
    """The block, how many a stage, the width and the stem of one size."""

    block: type[BasicBlock] | type[Bottleneck]
    blocks: tuple[int, int, int, int]
    width: int = 64
    stem: Stem = "imagenet"


RESNET_SIZES: dict[int | str, ResNetSize] = {
    "mini": ResNetSize(BasicBlock, (1, 1, 1, 1), width=32, stem="small"),  # ours: the embedded backbone
    18: ResNetSize(BasicBlock, (2, 2, 2, 2)),  # arXiv:1512.03385, table 1
    34: ResNetSize(BasicBlock, (3, 4, 6, 3)),
    50: ResNetSize(Bottleneck, (3, 4, 6, 3)),
    101: ResNetSize(Bottleneck, (3, 4, 23, 3)),
    152: ResNetSize(Bottleneck, (3, 8, 36, 3)),
    "50v1": ResNetSize(BottleneckV1, (3, 4, 6, 3)),  # as keras.applications builds it
}


def build_resnet(depth: int | str = 50, *, classes: int = 1000, norm_eps: float = BATCH_NORM_EPS) -> ResNet:
    """A ResNet of a named depth, a key of RESNET_SIZES, with random weights, in training mode.

    The depth is the number of layers with weights, "mini", or "50v1" for the paper's strides. 0 classes leave the
    classifier out.
    """
    size = RESNET_SIZES[depth]
    return ResNet(size.block, size.blocks, classes=classes, width=size.width, stem=size.stem, norm_eps=norm_eps)
