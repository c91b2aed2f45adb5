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
from typing import Literal

import torch
from torch import Tensor, nn

from vitrail.nets.positions import PositionRule, resize_positions
from vitrail.nets.vit import INIT_STD, VIT_SIZES, Block, Mlp, PatchEmbed, gelu

Activation = Literal["gelu", "quick_gelu"]

LAYER_NORM_EPS = 1e-5  # torch's default, which clip/model.py keeps


class QuickGelu(nn.Module):
    """x * sigmoid(1.702 x): up to 0.02 away from the GELU, in every block (clip/model.py, QuickGELU)."""

    def forward(self, value: Tensor) -> Tensor:
        """The same shape."""
        return value * torch.sigmoid(1.702 * value)


class ClipImageTower(nn.Module):
    """Image to tokens, a norm, a stack of blocks, the class token out."""

    def __init__(
        self,
        *,
        image_size: int,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        projection: int,
        activation: Activation = "quick_gelu",
        positions: PositionRule = "bicubic-antialias",
        norm_eps: float = LAYER_NORM_EPS,
    ) -> None:
        """Build the network with random weights.

        Args:
            image_size: rows and columns of the image that the table of positions is for, a multiple of `patch`.
            patch: side of a patch in pixels.
            width: D, a multiple of `heads`.
            depth: number of blocks.
            heads: attention heads.
            projection: P; 0 leaves the projection out, and `forward` gives the feature.
            activation: OpenAI's "quick_gelu", or LAION's "gelu".
            positions: how the table is brought to an image of another size.
            norm_eps: eps of every layer norm.
        """
        super().__init__()
        self.patch, self.positions = patch, positions
        self.grid = (image_size // patch, image_size // patch)
        self.patch_embed = PatchEmbed(patch, width, bias=False)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid[0] * self.grid[1], width))
        self.norm_pre = nn.LayerNorm(width, eps=norm_eps)
        self.blocks = nn.ModuleList(
            Block(
                width,
                heads,
                Mlp(width, 4 * width, QuickGelu() if activation == "quick_gelu" else gelu(activation)),
                layer_scale=False,
                norm_eps=norm_eps,
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=norm_eps)
        self.head = nn.Linear(width, projection) if projection else nn.Identity()  # timm gives it a bias, of zeros
        nn.init.normal_(self.cls_token, std=INIT_STD)
        nn.init.normal_(self.pos_embed, std=INIT_STD)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Where the image lies in the space shared with text, `shared_BP`, not yet of length 1."""
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


def build_clip(
    size: str = "B",
    patch: int = 16,
    *,
    image_size: int = 224,
    projection: int = 512,
    activation: Activation = "quick_gelu",
    positions: PositionRule = "bicubic-antialias",
    norm_eps: float = LAYER_NORM_EPS,
) -> ClipImageTower:
    """An image tower of a named size, with random weights.

    Args:
        size: a key of VIT_SIZES.
        patch: side of a patch in pixels.
        image_size: side of the image in pixels.
        projection: width of the space shared with text; 0 for none.
        activation: "quick_gelu" or "gelu".
        positions: how the table of positions is resized.
        norm_eps: eps of every layer norm.

    Returns:
        The network in training mode.
    """
    chosen = VIT_SIZES[size]
    return ClipImageTower(
        image_size=image_size,
        patch=patch,
        width=chosen.width,
        depth=chosen.depth,
        heads=chosen.heads,
        projection=projection,
        activation=activation,
        positions=positions,
        norm_eps=norm_eps,
    )
