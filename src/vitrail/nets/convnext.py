"""ConvNeXt and ConvNeXt V2: a convolutional network with the proportions of a Transformer.

Liu et al., "A ConvNet for the 2020s", arXiv:2201.03545 (figures 2 and 4, section 2; table 9 has the stages). V2 is
Woo et al., "ConvNeXt V2: Co-designing and Scaling ConvNets with Masked Autoencoders", arXiv:2301.00808: global response
normalization (algorithm 1) takes the place of LayerScale (figure 5). The ConvNeXts of DINOv3 are the first version.
Parameters carry timm's names, so the field's weights load as they are.

Letters: B images, C channels, H rows, W columns, D width of the feature, F hidden channels of the MLP.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Version = Literal[1, 2]

LAYER_NORM_EPS = 1e-6  # of every norm, also the last; transformers' config has 1e-12 for the last one
RESPONSE_NORM_EPS = 1e-6  # convnextv2/models/utils.py, GRN
LAYER_SCALE_START = 1e-6  # arXiv:2201.03545, table 5; no file of weights leaves it there
INIT_STD = 0.02  # of a truncated normal, for every convolution and linear layer
KERNEL = 7  # of the depthwise convolution (section 2.5)


@dataclass(frozen=True, slots=True)
class ConvNeXtSize:
    """Number of blocks and channels of the four stages."""

    blocks: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]


CONVNEXT_SIZES = {
    "atto": ConvNeXtSize((2, 2, 6, 2), (40, 80, 160, 320)),  # facebookresearch/ConvNeXt-V2, models/convnextv2.py
    "femto": ConvNeXtSize((2, 2, 6, 2), (48, 96, 192, 384)),
    "pico": ConvNeXtSize((2, 2, 6, 2), (64, 128, 256, 512)),
    "nano": ConvNeXtSize((2, 2, 8, 2), (80, 160, 320, 640)),
    "T": ConvNeXtSize((3, 3, 9, 3), (96, 192, 384, 768)),  # arXiv:2201.03545, section 3
    "S": ConvNeXtSize((3, 3, 27, 3), (96, 192, 384, 768)),
    "B": ConvNeXtSize((3, 3, 27, 3), (128, 256, 512, 1024)),
    "L": ConvNeXtSize((3, 3, 27, 3), (192, 384, 768, 1536)),
}


class MapNorm(nn.LayerNorm):
    """A LayerNorm over the channels of each pixel of a map."""

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The same shape."""
        return super().forward(map_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GlobalResponseNorm(nn.Module):
    """Strengthen channels that respond more than the others, over the whole image (algorithm 1 of V2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, map_BHWF: Tensor) -> Tensor:
        """The same shape."""
        response_B11F: Tensor = torch.linalg.vector_norm(map_BHWF, dim=(1, 2), keepdim=True)
        relative_B11F = response_B11F / (response_B11F.mean(dim=-1, keepdim=True) + RESPONSE_NORM_EPS)
        return map_BHWF + self.weight * (map_BHWF * relative_B11F) + self.bias


class Mlp(nn.Module):
    """Two linear layers with a GELU between, for each pixel alone; V2 normalises the hidden channels."""

    def __init__(self, width: int, version: Version) -> None:
        super().__init__()
        hidden = 4 * width
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU(approximate="none")
        self.grn = GlobalResponseNorm(hidden) if version == 2 else nn.Identity()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, map_BHWC: Tensor) -> Tensor:
        """The same shape."""
        map_BHWF: Tensor = self.grn(self.act(self.fc1(map_BHWC)))
        output_BHWC: Tensor = self.fc2(map_BHWF)
        return output_BHWC


class Block(nn.Module):
    """Mix the neighbours of each channel, then the channels of each pixel, and add the result to the input."""

    def __init__(self, width: int, version: Version, eps: float) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, version)
        self.gamma = nn.Parameter(torch.full((width,), LAYER_SCALE_START)) if version == 1 else None

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map after this block."""
        added_BHWC = self.mlp(self.norm(self.conv_dw(map_BCHW).permute(0, 2, 3, 1)))
        if self.gamma is not None:
            added_BHWC = self.gamma * added_BHWC
        output_BCHW: Tensor = map_BCHW + added_BHWC.permute(0, 3, 1, 2)
        return output_BCHW


class Stage(nn.Module):
    """Blocks of one width; all stages but the first halve the map before."""

    def __init__(self, inputs: int, width: int, blocks: int, version: Version, eps: float) -> None:
        super().__init__()
        halve = (MapNorm(inputs, eps=eps), nn.Conv2d(inputs, width, kernel_size=2, stride=2))
        self.downsample = nn.Identity() if inputs == width else nn.Sequential(*halve)
        self.blocks = nn.Sequential(*(Block(width, version, eps) for _ in range(blocks)))

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map after this stage."""
        output_BCHW: Tensor = self.blocks(self.downsample(map_BCHW))
        return output_BCHW


class Head(nn.Module):
    """The norm after the mean over the map, and the classifier: norm(mean) is not mean(norm)."""

    def __init__(self, width: int, classes: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=eps)
        self.fc = nn.Linear(width, classes) if classes else nn.Identity()

    def forward(self, feature_BD: Tensor) -> Tensor:
        """The logits; the feature itself without a classifier."""
        logit_BC: Tensor = self.fc(feature_BD)
        return logit_BC


class ConvNeXt(nn.Module):
    """Patches of 4 x 4 pixels, four stages of blocks, the mean over the map, a norm."""

    def __init__(
        self, size: ConvNeXtSize, *, version: Version = 1, classes: int = 1000, norm_eps: float = LAYER_NORM_EPS
    ) -> None:
        """Build the network with random weights, in training mode; 0 `classes` leave the classifier out."""
        super().__init__()
        first, last = size.widths[0], size.widths[-1]
        self.stem = nn.Sequential(nn.Conv2d(3, first, kernel_size=4, stride=4), MapNorm(first, eps=norm_eps))
        self.stages = nn.Sequential(
            *(
                Stage(inputs, width, blocks, version, norm_eps)
                for inputs, width, blocks in zip((first, *size.widths), size.widths, size.blocks, strict=False)
            )
        )
        self.head = Head(last, classes, norm_eps)
        self._initialise()

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The logits of the pretraining classes, `logit_BC`."""
        logit_BC: Tensor = self.head(self.forward_features(image_BCHW))
        return logit_BC

    def forward_features(self, image_BCHW: Tensor) -> Tensor:
        """One vector an image, `feature_BD`: the mean over the last map, then the norm."""
        feature_BD: Tensor = self.head.norm(self.forward_map(image_BCHW).mean(dim=(2, 3)))
        return feature_BD

    def forward_map(self, image_BCHW: Tensor) -> Tensor:
        """The last map, `map_BDHW`, 32 times smaller than the image; pixels beyond the last full patch are ignored."""
        map_BDHW: Tensor = self.stages(self.stem(image_BCHW))
        return map_BDHW

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=INIT_STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
