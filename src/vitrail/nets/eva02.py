"""EVA-02: a plain Vision Transformer with rotary positions, gated MLPs and, from size B on, a norm inside the MLP.

Fang et al., "EVA-02: A Visual Representation for Neon Genesis", arXiv:2303.11331 (section 2.1, "TrV"; EVA-02/asuka in
github.com/baaivision/EVA). It has a table of positions as the ViT and turns queries and keys as well. The MLP is SwiGLU
(arXiv:2002.05202); the norm of its hidden units is called sub-LN. The feature is the mean of the patches, then a norm.
Parameters carry the names of timm's eva02_base_patch14_224. timm packs query, key and value, and gate and value, of the
sizes Ti and S in one layer each; `backbones/weights/eva02.py` takes them apart.

Letters: B images, C channels, H rows, W columns; L tokens (the class token first, then the patches row by row),
D width, A attention heads, E width of one head (D = A * E), F width of the MLP, R = E/2 angles of one head, S = E/4
speeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from vitrail.nets.positions import Grid, PositionRule, resize_positions
from vitrail.nets.rotary import angles_of_grid, turn
from vitrail.nets.vit import INIT_STD, LAYER_NORM_EPS, PatchEmbed

Pooling = Literal["cls", "mean"]

PRETRAINED_SIDE = 16  # patches a side in pretraining: other grids are squeezed into it (EVA-02/asuka/rope.py)
SLOWEST_TURN = 10_000.0  # patches for a turn of one radian at the slowest, not quite reached (rope.py, theta)


@dataclass(frozen=True, slots=True)
class EvaSize:
    """Width D, number of blocks, attention heads A, hidden units F, and whether the MLP normalises these."""

    width: int
    depth: int
    heads: int
    hidden: int
    sub_norm: bool


EVA02_SIZES = {  # EVA-02/asuka/modeling_finetune.py; F is 2/3 of 4 D, since the MLP has three layers
    "Ti": EvaSize(192, 12, 3, 512, sub_norm=False),
    "S": EvaSize(384, 12, 6, 1024, sub_norm=False),
    "B": EvaSize(768, 12, 12, 2048, sub_norm=True),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaConfig:
    """Everything that the network is built from."""

    size: EvaSize = EVA02_SIZES["S"]
    patch: int = 14  # side of a patch in pixels
    image_size: int = 224  # rows and columns, in pixels, of the image that the table of positions is for
    classes: int = 0  # outputs of `head`; 0 leaves it out, and `forward` gives the feature
    positions: PositionRule = "bicubic-antialias"  # how the table is brought to an image of another size
    norm_eps: float = LAYER_NORM_EPS


class RotaryAttention(nn.Module):
    """Attention in which the queries and keys of patches are turned by their places; keys have no bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, token_BLD: Tensor, angle_LR: Tensor) -> Tensor:
        """The new tokens, in the same order."""
        query_BALE, key_BALE, value_BALE = (
            layer(token_BLD).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        query_BALE, key_BALE = turn(query_BALE, angle_LR, "neighbours"), turn(key_BALE, angle_LR, "neighbours")
        mixed_BALE = scaled_dot_product_attention(query_BALE, key_BALE, value_BALE)  # divides by sqrt(E)
        mixed_BLD: Tensor = self.proj(mixed_BALE.transpose(1, 2).flatten(2))
        return mixed_BLD


class SwiGlu(nn.Module):
    """An MLP in which one layer says how much of another passes; the outcome may be normalised (sub-LN)."""

    def __init__(self, width: int, hidden: int, norm: nn.Module) -> None:
        super().__init__()
        self.fc1_g = nn.Linear(width, hidden)  # the gate; EVA-02 calls it w1
        self.fc1_x = nn.Linear(width, hidden)  # what passes; w2
        self.norm = norm
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, token_BLD: Tensor) -> Tensor:
        """The new tokens."""
        token_BLF: Tensor = self.norm(silu(self.fc1_g(token_BLD)) * self.fc1_x(token_BLD))
        output_BLD: Tensor = self.fc2(token_BLF)
        return output_BLD


class Block(nn.Module):
    """Attention, then MLP, each on normalised tokens and added to its input."""

    def __init__(self, size: EvaSize, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(size.width, eps=eps)
        self.attn = RotaryAttention(size.width, size.heads)
        self.norm2 = nn.LayerNorm(size.width, eps=eps)
        sub_norm = nn.LayerNorm(size.hidden, eps=eps) if size.sub_norm else nn.Identity()
        self.mlp = SwiGlu(size.width, size.hidden, sub_norm)

    def forward(self, token_BLD: Tensor, angle_LR: Tensor) -> Tensor:
        """The tokens after this block."""
        attended_BLD: Tensor = token_BLD + self.attn(self.norm1(token_BLD), angle_LR)
        output_BLD: Tensor = attended_BLD + self.mlp(self.norm2(attended_BLD))
        return output_BLD


class Eva02(nn.Module):
    """Image to tokens, a stack of blocks, the mean of the patches, a norm."""

    def __init__(self, config: EvaConfig) -> None:
        """Build the network with random weights, in training mode."""
        super().__init__()
        size, side, eps = config.size, config.image_size // config.patch, config.norm_eps
        self.patch, self.positions, self.grid = config.patch, config.positions, (side, side)
        self.head_width = size.width // size.heads
        self.patch_embed = PatchEmbed(config.patch, size.width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + side * side, size.width))
        self.blocks = nn.ModuleList(Block(size, eps) for _ in range(size.depth))
        self.fc_norm = nn.LayerNorm(size.width, eps=eps)
        self.head = nn.Linear(size.width, config.classes) if config.classes else nn.Identity()
        self._initialise()

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The logits of the pretraining classes, `logit_BC`."""
        logit_BC: Tensor = self.head(self.forward_features(image_BCHW))
        return logit_BC

    def forward_features(self, image_BCHW: Tensor) -> Tensor:
        """One vector an image, `feature_BD`: what the classifier sees."""
        return self.forward_pooled(image_BCHW, ("mean",))

    def forward_pooled(self, image_BCHW: Tensor, poolings: Sequence[Pooling]) -> Tensor:
        """The features of several poolings side by side, `feature_BD` with D = poolings * width, from one pass."""
        token_BLD = self.forward_tokens(image_BCHW)
        pooled_BD = {"cls": token_BLD[:, 0], "mean": token_BLD[:, 1:].mean(dim=1)}
        return torch.cat([self.fc_norm(pooled_BD[pooling]) for pooling in poolings], dim=-1)

    def forward_tokens(self, image_BCHW: Tensor) -> Tensor:
        """All tokens after the last block, `token_BLD`, the class token first; the norm comes after the pooling."""
        rows, columns = (int(side) // self.patch for side in image_BCHW.shape[2:])
        class_position_11D, position_1LD = self.pos_embed.tensor_split((1,), dim=1)
        patch_BLD = self.patch_embed(image_BCHW)
        patch_BLD = patch_BLD + resize_positions(position_1LD, self.grid, (rows, columns), self.positions)
        class_B1D = self.cls_token.expand(patch_BLD.shape[0], -1, -1) + class_position_11D
        token_BLD: Tensor = torch.cat((class_B1D, patch_BLD), dim=1)
        angle_LR = self._angles((rows, columns), image_BCHW.device)
        for block in self.blocks:
            token_BLD = block(token_BLD, angle_LR)
        return token_BLD

    def _angles(self, grid: Grid, device: torch.device) -> Tensor:
        """The angles of the patches; a side always counts as 16 patches, as in pretraining."""
        row_H, column_W = (
            torch.arange(count, dtype=torch.float32, device=device) / count * PRETRAINED_SIDE for count in grid
        )
        speeds = self.head_width // 4
        share_S = torch.arange(speeds, dtype=torch.float32, device=device) / speeds
        return angles_of_grid(row_H, column_W, 1 / SLOWEST_TURN**share_S)

    def _initialise(self) -> None:
        nn.init.normal_(self.cls_token, std=INIT_STD)
        nn.init.trunc_normal_(self.pos_embed, std=INIT_STD)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=INIT_STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
