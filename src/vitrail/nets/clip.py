"""The image tower of CLIP: a Vision Transformer that was trained to agree with captions.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", arXiv:2103.00020 (section 2.4;
clip/model.py, VisionTransformer). It differs from the ViT of arXiv:2010.11929 in four places: the patches have no
bias, a norm comes before the first block, torch's own eps, and OpenAI's quick form of the GELU, which LAION's weights
gave up again. Its last layer projects the class token into the space that it shares with text.
Parameters carry timm's names (vit_base_patch16_clip_quickgelu_224 and its sisters), so the field's weights load as
they are.

Letters: B images, C channels, H rows, W columns; L tokens (the class token first, then the patches row by row),
D width, P width of the space shared with text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from vitrail.nets.positions import PositionRule, resize_positions
from vitrail.nets.vit import INIT_STD, VIT_SIZES, Block, Mlp, PatchEmbed, VitSize, gelu

Activation = Literal["gelu", "quick_gelu"]

LAYER_NORM_EPS = 1e-5  # torch's default, which clip/model.py keeps


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipConfig:
    """Everything that an image tower is built from."""

    size: VitSize = VIT_SIZES["B"]
    patch: int = 16  # side of a patch in pixels
    image_size: int = 224  # rows and columns, in pixels, of the image that the table of positions is for
    projection: int = 512  # P; 0 leaves the projection out, and `forward` gives the feature
    activation: Activation = "quick_gelu"  # OpenAI's; LAION's is "gelu"
    positions: PositionRule = "bicubic-antialias"  # how the table is brought to an image of another size
    norm_eps: float = LAYER_NORM_EPS


class QuickGelu(nn.Module):
    """x * sigmoid(1.702 x): up to 0.02 away from the GELU, in every block (clip/model.py, QuickGELU)."""

    def forward(self, value: Tensor) -> Tensor:
        """The same shape."""
        return value * torch.sigmoid(1.702 * value)


class ClipImageTower(nn.Module):
    """Image to tokens, a norm, a stack of blocks, the class token out."""

    def __init__(self, config: ClipConfig) -> None:
        """Build the network with random weights, in training mode."""
        super().__init__()
        size, side, eps = config.size, config.image_size // config.patch, config.norm_eps
        self.patch, self.positions, self.grid = config.patch, config.positions, (side, side)
        self.patch_embed = PatchEmbed(config.patch, size.width, bias=False)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + side * side, size.width))
        self.norm_pre = nn.LayerNorm(size.width, eps=eps)
        self.blocks = nn.ModuleList(
            Block(
                size.width,
                size.heads,
                Mlp(size.width, size.hidden, _activation(config.activation)),
                layer_scale=False,
                norm_eps=eps,
            )
            for _ in range(size.depth)
        )
        self.norm = nn.LayerNorm(size.width, eps=eps)
        # timm gives the projection a bias, of zeros
        self.head = nn.Linear(size.width, config.projection) if config.projection else nn.Identity()
        nn.init.normal_(self.cls_token, std=INIT_STD)
        nn.init.normal_(self.pos_embed, std=INIT_STD)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The image in the space shared with text, `shared_BP`, not yet scaled to length 1."""
        shared_BP: Tensor = self.head(self.forward_features(image_BCHW))
        return shared_BP

    def forward_features(self, image_BCHW: Tensor) -> Tensor:
        """One vector an image, `feature_BD`: the class token before the projection."""
        return self.forward_pooled(image_BCHW, ("cls",))

    def forward_pooled(self, image_BCHW: Tensor, poolings: Sequence[Literal["cls", "mean"]]) -> Tensor:
        """The features of several poolings side by side, `feature_BD` with D = poolings * width, from one pass."""
        token_BLD = self.forward_tokens(image_BCHW)
        pooled_BD = {"cls": token_BLD[:, 0], "mean": token_BLD[:, 1:].mean(dim=1)}
        return torch.cat([pooled_BD[pooling] for pooling in poolings], dim=-1)

    def forward_tokens(self, image_BCHW: Tensor) -> Tensor:
        """All tokens after the last block and the final norm, `token_BLD`, the class token first."""
        rows, columns = (int(side) // self.patch for side in image_BCHW.shape[2:])
        own, position_1LD = self.pos_embed.tensor_split((1,), dim=1)
        position_1LD = resize_positions(position_1LD, self.grid, (rows, columns), self.positions)
        patch_BLD = self.patch_embed(image_BCHW)
        class_B1D = self.cls_token.expand(patch_BLD.shape[0], -1, -1)
        token_BLD: Tensor = torch.cat((class_B1D + own, patch_BLD + position_1LD), dim=1)
        token_BLD = self.norm_pre(token_BLD)
        for block in self.blocks:
            token_BLD = block(token_BLD)
        normed_BLD: Tensor = self.norm(token_BLD)
        return normed_BLD


def _activation(name: Activation) -> nn.Module:
    return QuickGelu() if name == "quick_gelu" else gelu(name)
