"""Big Transfer: a wide residual network without batch norm.

Kolesnikov et al., "Big Transfer (BiT): General Visual Representation Learning", arXiv:1912.11370 (section 3.1): the
pre-activation ResNet of He et al., "Identity Mappings in Deep Residual Networks", arXiv:1603.05027 (figure 1b), with
group norm (Wu and He, arXiv:1803.08494) and weight standardisation (Qiao et al., arXiv:1903.10520).
Parameters carry timm's names (resnetv2_50x1_bit and its sisters), so the field's weights load as they are.

Letters: B images, C channels, H rows, W columns, D width of the feature; of a weight O outputs, I inputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, pad, relu

GROUPS = 32
GROUP_NORM_EPS = 1e-5  # BiT's own and timm's; flax's default, with which the ViT hybrids were trained, is 1e-6
WEIGHT_EPS = 1e-8  # inside the root, as timm and transformers run these weights; Google's own code has 1e-10


class StdConv(nn.Conv2d):
    """A convolution whose weights have mean 0 and variance 1 for each output, whatever training has left in them."""

    def __init__(self, inputs: int, outputs: int, size: int, *, stride: int = 1) -> None:
        super().__init__(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The next map."""
        return conv2d(map_BCHW, self.standardised(), stride=self.stride, padding=self.padding)

    def standardised(self) -> Tensor:
        """`weight_OIHW` with mean 0 and variance 1 over all but the outputs."""
        # Biased variance, eps inside the root. The ViT hybrids divide by (std + 1e-5), which is another network.
        variance_O111, mean_O111 = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        return (self.weight - mean_O111) / torch.sqrt(variance_O111 + WEIGHT_EPS)


def norm(channels: int, eps: float) -> nn.GroupNorm:
    """A group norm; a ReLU follows wherever it is used."""
    return nn.GroupNorm(GROUPS, channels, eps=eps)


class Stem(nn.Module):
    """7x7 with stride 2, then a max pool: a map four times smaller than the image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = StdConv(3, width, 7, stride=2)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The first map."""
        map_BCHW = self.conv(image_BCHW)
        # No ReLU has come before (pre-activation), so a border of zeros wins over negatives where torch's own
        # padding of -inf would not: Google's torch code calls the two "subtly not the same".
        return max_pool2d(pad(map_BCHW, (1, 1, 1, 1), value=0.0), kernel_size=3, stride=2)


class Downsample(nn.Module):
    """The projection of a shortcut whose shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = StdConv(inputs, outputs, 1, stride=stride)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map as the sum wants it."""
        projected_BCHW: Tensor = self.conv(map_BCHW)
        return projected_BCHW


class Bottleneck(nn.Module):
    """Norm and ReLU before each convolution: 1x1 to narrow, 3x3, 1x1 to widen four times."""

    def __init__(
        self, inputs: int, outputs: int, *, stride: int, first: bool, norm_eps: float = GROUP_NORM_EPS
    ) -> None:
        super().__init__()
        narrow = outputs // 4
        self.norm1 = norm(inputs, norm_eps)
        self.conv1 = StdConv(inputs, narrow, 1)
        self.norm2 = norm(narrow, norm_eps)
        self.conv2 = StdConv(narrow, narrow, 3, stride=stride)  # the stride is here, not on the first 1x1
        self.norm3 = norm(narrow, norm_eps)
        self.conv3 = StdConv(narrow, outputs, 1)
        self.downsample = Downsample(inputs, outputs, stride) if first else None

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map after this block; nothing comes after the sum."""
        active_BCHW = relu(self.norm1(map_BCHW))
        # The projection reads the map after norm and ReLU, the identity the map before them.
        kept_BCHW = map_BCHW if self.downsample is None else self.downsample(active_BCHW)
        active_BCHW = relu(self.norm2(self.conv1(active_BCHW)))
        active_BCHW = relu(self.norm3(self.conv2(active_BCHW)))
        output_BCHW: Tensor = self.conv3(active_BCHW) + kept_BCHW
        return output_BCHW


class Stage(nn.Module):
    """Blocks of one width; the first may halve the map."""

    def __init__(self, inputs: int, outputs: int, *, blocks: int, stride: int, norm_eps: float) -> None:
        super().__init__()
        first = Bottleneck(inputs, outputs, stride=stride, first=True, norm_eps=norm_eps)
        rest = (Bottleneck(outputs, outputs, stride=1, first=False, norm_eps=norm_eps) for _ in range(blocks - 1))
        self.blocks = nn.Sequential(first, *rest)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map after this stage."""
        output_BCHW: Tensor = self.blocks(map_BCHW)
        return output_BCHW


class Head(nn.Module):
    """The classifier, which timm stores as a 1x1 convolution on the mean of the map: its weight is C x D x 1 x 1."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(width, classes, 1) if classes else nn.Identity()

    def forward(self, feature_BD: Tensor) -> Tensor:
        """The logits."""
        logit_BC11: Tensor = self.fc(feature_BD[:, :, None, None])
        return logit_BC11.flatten(1)


class BiT(nn.Module):
    """A stem, four stages of blocks that double the width and halve the map, a last norm, and the mean over the map."""

    def __init__(
        self, blocks: tuple[int, int, int, int], *, widening: int, classes: int, norm_eps: float = GROUP_NORM_EPS
    ) -> None:
        """Build the network with random weights.

        `blocks` are the numbers of blocks in the four stages, and `widening` multiplies every width of a ResNet. With 0
        classes there is no classifier, and `forward` gives the feature.
        """
        super().__init__()
        first, second, third, fourth = (256 * widening * 2**stage for stage in range(4))
        self.stem = Stem(64 * widening)
        self.stages = nn.Sequential(
            Stage(64 * widening, first, blocks=blocks[0], stride=1, norm_eps=norm_eps),
            Stage(first, second, blocks=blocks[1], stride=2, norm_eps=norm_eps),
            Stage(second, third, blocks=blocks[2], stride=2, norm_eps=norm_eps),
            Stage(third, fourth, blocks=blocks[3], stride=2, norm_eps=norm_eps),
        )
        self.norm = norm(fourth, norm_eps)
        self.head = Head(fourth, classes)
        self._initialise()

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The logits of the pretraining classes, `logit_BC`."""
        logit_BC: Tensor = self.head(self.forward_features(image_BCHW))
        return logit_BC

    def forward_features(self, image_BCHW: Tensor) -> Tensor:
        """One vector an image, `feature_BD`: the mean over the last map."""
        return self.forward_map(image_BCHW).mean(dim=(2, 3))

    def forward_map(self, image_BCHW: Tensor) -> Tensor:
        """The last map after norm and ReLU, `map_BDHW`, 32 times smaller than the image."""
        map_BCHW = self.stem(image_BCHW)
        map_BDHW = self.stages(map_BCHW)
        return relu(self.norm(map_BDHW))

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, StdConv):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


@dataclass(frozen=True, slots=True)
class BitSize:
    """How many blocks a stage, and what every width is multiplied with."""

    blocks: tuple[int, int, int, int]
    widening: int


BIT_SIZES = {  # "R<layers>x<widening>" of arXiv:1912.11370, section 3.1 and appendix A
    "50x1": BitSize((3, 4, 6, 3), 1),
    "50x3": BitSize((3, 4, 6, 3), 3),
    "101x1": BitSize((3, 4, 23, 3), 1),
    "101x3": BitSize((3, 4, 23, 3), 3),
    "152x2": BitSize((3, 8, 36, 3), 2),
    "152x4": BitSize((3, 8, 36, 3), 4),
}


def build_bit(size: str = "50x1", *, classes: int = 1000, norm_eps: float = GROUP_NORM_EPS) -> BiT:
    """A BiT of a named size, a key of BIT_SIZES, with random weights, in training mode; 0 classes for no classifier."""
    chosen = BIT_SIZES[size]
    return BiT(chosen.blocks, widening=chosen.widening, classes=classes, norm_eps=norm_eps)
