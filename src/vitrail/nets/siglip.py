"""The image tower of SigLIP: a Vision Transformer without a class token, pooled by attention.

Zhai et al., "Sigmoid Loss for Language Image Pre-Training", arXiv:2303.15343; the pooling, called MAP head, is that of
Zhai et al., "Scaling Vision Transformers", arXiv:2106.04560 (section 3.2): one learnt query attends to all patches.
Parameters carry timm's names (vit_base_patch16_siglip_224 and its sisters), so the field's weights load as they are.

Letters: B images, C channels, H rows, W columns; L tokens (the patches row by row), D width, A attention heads,
E width of one head (D = A * E).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vitrail.nets.positions import PositionRule, resize_positions
from vitrail.nets.vit import INIT_STD, LAYER_NORM_EPS, Activation, Block, Mlp, PatchEmbed, VitSize, gelu

SIGLIP_SIZES = {
    "B": VitSize(768, 12, 12),
    "L": VitSize(1024, 24, 16),
    "so400m": VitSize(1152, 27, 16, mlp_width=4304),  # the shape-optimised ViT of arXiv:2305.13035, table 1
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SiglipConfig:
    """Everything that an image tower is built from."""

    size: VitSize = SIGLIP_SIZES["B"]
    patch: int = 16  # side of a patch in pixels
    # Rows and columns, in pixels, of the image that the table of positions is for. What is left over beyond the last
    # whole patch is not seen.
    image_size: int = 224
    activation: Activation = "gelu"  # as timm runs these weights; Google and transformers have "gelu_tanh"
    positions: PositionRule = "bicubic-antialias"  # how the table is brought to an image of another size
    norm_eps: float = LAYER_NORM_EPS


class AttentionPool(nn.Module):
    """One learnt query attends to all tokens; the result passes through an MLP."""

    def __init__(self, width: int, heads: int, mlp_width: int, *, activation: Activation, norm_eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.latent = nn.Parameter(torch.zeros(1, 1, width))
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=norm_eps)
        self.mlp = Mlp(width, mlp_width, gelu(activation))

    def forward(self, token_BLD: Tensor) -> Tensor:
        """One vector an image, `feature_BD`."""
        query_B1D = self.q(self.latent.expand(token_BLD.shape[0], -1, -1))
        query_BA1E = query_B1D.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key_value_BL2AE = self.kv(token_BLD).unflatten(-1, (2, self.heads, -1))
        key_BALE, value_BALE = (part_BLAE.transpose(1, 2) for part_BLAE in key_value_BL2AE.unbind(dim=2))
        mixed_BA1E = scaled_dot_product_attention(query_BA1E, key_BALE, value_BALE)  # divides by sqrt(E)
        pooled_B1D = self.proj(mixed_BA1E.transpose(1, 2).flatten(2))
        feature_B1D: Tensor = pooled_B1D + self.mlp(self.norm(pooled_B1D))  # the latent itself is not added
        return feature_B1D[:, 0]


class SiglipImageTower(nn.Module):
    """Image to tokens, a stack of blocks, one vector by attention."""

    def __init__(self, config: SiglipConfig) -> None:
        """Build the network with random weights, in training mode."""
        super().__init__()
        size, side, eps, activation = config.size, config.image_size // config.patch, config.norm_eps, config.activation
        self.patch, self.positions, self.grid = config.patch, config.positions, (side, side)
        self.patch_embed = PatchEmbed(config.patch, size.width)
        self.pos_embed = nn.Parameter(torch.zeros(1, side * side, size.width))
        self.blocks = nn.ModuleList(
            Block(
                size.width,
                size.heads,
                Mlp(size.width, size.hidden, gelu(activation)),
                layer_scale=False,
                norm_eps=eps,
            )
            for _ in range(size.depth)
        )
        self.norm = nn.LayerNorm(size.width, eps=eps)
        self.attn_pool = AttentionPool(size.width, size.heads, size.hidden, activation=activation, norm_eps=eps)
        nn.init.normal_(self.pos_embed, std=INIT_STD)
        nn.init.normal_(self.attn_pool.latent, std=INIT_STD)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The feature: this tower has no classifier, and its space is the one shared with text."""
        return self.forward_features(image_BCHW)

    def forward_features(self, image_BCHW: Tensor) -> Tensor:
        """One vector an image, `feature_BD`."""
        return self.forward_pooled(image_BCHW, ("map",))

    def forward_pooled(self, image_BCHW: Tensor, poolings: Sequence[Literal["map", "mean"]]) -> Tensor:
        """The features of several poolings side by side, `feature_BD` with D = poolings * width, from one pass."""
        token_BLD = self.forward_tokens(image_BCHW)
        pooled_BD = {"map": self.attn_pool(token_BLD), "mean": token_BLD.mean(dim=1)}
        return torch.cat([pooled_BD[pooling] for pooling in poolings], dim=-1)

    def forward_tokens(self, image_BCHW: Tensor) -> Tensor:
        """All patches after the last block and the final norm, `token_BLD`."""
        rows, columns = (int(side) // self.patch for side in image_BCHW.shape[2:])
        position_1LD = resize_positions(self.pos_embed, self.grid, (rows, columns), self.positions)
        token_BLD: Tensor = self.patch_embed(image_BCHW) + position_1LD
        for block in self.blocks:
            token_BLD = block(token_BLD)
        normed_BLD: Tensor = self.norm(token_BLD)
        return normed_BLD
