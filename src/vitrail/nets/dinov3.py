"""The Vision Transformers of DINOv3: rotary positions in place of a table, registers, LayerScale.

Siméoni et al., "DINOv3", arXiv:2508.10104 (dinov3/models/vision_transformer.py in github.com/facebookresearch/dinov3).
It differs from the ViT of DINOv2 in three places: a patch of 16; positions that turn queries and keys by the place of
the patch's centre, on a scale from -1 to 1; queries, keys and values without biases. S+ has a gated MLP (SwiGLU,
arXiv:2002.05202).
Parameters carry timm's names (vit_small_patch16_dinov3 and its sisters), so the field's weights load as they are. Meta
computes the speeds of the turns in float32 and stores them in bfloat16 (timm/layers/pos_embed_sincos.py); timm and
transformers, and so this network, have them in float32.

Letters: B images, C channels, H rows, W columns; L tokens (the class token first, then G registers, then the patches
row by row), D width, A attention heads, E width of one head (D = A * E), R = E/2 angles of one head, S = E/4 speeds.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from vitrail.nets.rotary import angles_of_grid, turn
from vitrail.nets.vit import INIT_STD, LAYER_SCALE_START, Mlp, PatchEmbed, VitSize, gelu

Pooling = Literal["cls", "mean"]

LAYER_NORM_EPS = 1e-5  # where DINOv2 has 1e-6 (dinov3/models/vision_transformer.py, norm_layer_dict)
# dinov3/hub/backbones.py, pos_embed_rope_base. Not quite reached; the shortest period is 1, half the image.
LONGEST_PERIOD = 100.0
REGISTERS = 4  # G

DINOV3_SIZES = {  # dinov3/hub/backbones.py
    "S": VitSize(384, 12, 6),
    "S+": VitSize(384, 12, 6, mlp_width=1536, gated_mlp=True),
    "B": VitSize(768, 12, 12),
    "L": VitSize(1024, 24, 16),
}


class RotaryAttention(nn.Module):
    """Attention in which the queries and keys of patches are turned by their places."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, token_BLD: Tensor, angle_LR: Tensor) -> Tensor:
        """The new tokens, in the same order."""
        qkv_BL3AE: Tensor = self.qkv(token_BLD).unflatten(-1, (3, self.heads, -1))
        query_BALE, key_BALE, value_BALE = (part_BLAE.transpose(1, 2) for part_BLAE in qkv_BL3AE.unbind(dim=2))
        query_BALE, key_BALE = turn(query_BALE, angle_LR, "halves"), turn(key_BALE, angle_LR, "halves")
        mixed_BALE = scaled_dot_product_attention(query_BALE, key_BALE, value_BALE)  # divides by sqrt(E)
        mixed_BLD: Tensor = self.proj(mixed_BALE.transpose(1, 2).flatten(2))
        return mixed_BLD


class SwiGlu(nn.Module):
    """An MLP in which one layer says how much of another passes."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1_g = nn.Linear(width, hidden)  # the gate; DINOv3 calls it w1
        self.fc1_x = nn.Linear(width, hidden)  # what passes; w2
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, token_BLD: Tensor) -> Tensor:
        """The new tokens."""
        output_BLD: Tensor = self.fc2(silu(self.fc1_g(token_BLD)) * self.fc1_x(token_BLD))
        return output_BLD


class Block(nn.Module):
    """Attention, then MLP, each on normalised tokens, scaled and added to its input."""

    def __init__(self, size: VitSize, eps: float) -> None:
        super().__init__()
        width, hidden = size.width, size.hidden
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = RotaryAttention(width, size.heads)
        self.gamma_1 = nn.Parameter(torch.full((width,), LAYER_SCALE_START))
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = SwiGlu(width, hidden) if size.gated_mlp else Mlp(width, hidden, gelu("gelu"))
        self.gamma_2 = nn.Parameter(torch.full((width,), LAYER_SCALE_START))

    def forward(self, token_BLD: Tensor, angle_LR: Tensor) -> Tensor:
        """The tokens after this block."""
        attended_BLD: Tensor = token_BLD + self.gamma_1 * self.attn(self.norm1(token_BLD), angle_LR)
        output_BLD: Tensor = attended_BLD + self.gamma_2 * self.mlp(self.norm2(attended_BLD))
        return output_BLD


class DinoV3(nn.Module):
    """Image to tokens, a stack of blocks, the class token out. It has no classifier."""

    def __init__(self, size: VitSize, *, patch: int = 16, norm_eps: float = LAYER_NORM_EPS) -> None:
        """Build the network with random weights, in training mode; `patch` is a side in pixels."""
        super().__init__()
        self.patch, self.head_width = patch, size.width // size.heads
        self.patch_embed = PatchEmbed(patch, size.width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.reg_token = nn.Parameter(torch.zeros(1, REGISTERS, size.width))
        self.blocks = nn.ModuleList(Block(size, norm_eps) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.width, eps=norm_eps)
        self._initialise()

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The feature: this network has no classifier."""
        return self.forward_features(image_BCHW)

    def forward_features(self, image_BCHW: Tensor) -> Tensor:
        """One vector an image, `feature_BD`: the class token."""
        return self.forward_pooled(image_BCHW, ("cls",))

    def forward_pooled(self, image_BCHW: Tensor, poolings: Sequence[Pooling]) -> Tensor:
        """The features of several poolings side by side, `feature_BD` with D = poolings * width, from one pass."""
        token_BLD = self.forward_tokens(image_BCHW)
        pooled_BD = {"cls": token_BLD[:, 0], "mean": token_BLD[:, 1 + REGISTERS :].mean(dim=1)}
        return torch.cat([pooled_BD[pooling] for pooling in poolings], dim=-1)

    def forward_tokens(self, image_BCHW: Tensor) -> Tensor:
        """All tokens after the last block and the final norm, `token_BLD`: class token, registers, patches.

        The sides of the image should be multiples of the patch; pixels beyond the last full patch are ignored.
        """
        patch_BLD = self.patch_embed(image_BCHW)
        images = patch_BLD.shape[0]
        token_BLD = torch.cat(
            (self.cls_token.expand(images, -1, -1), self.reg_token.expand(images, -1, -1), patch_BLD), dim=1
        )
        angle_LR = self._angles(image_BCHW)
        for block in self.blocks:
            token_BLD = block(token_BLD, angle_LR)
        normed_BLD: Tensor = self.norm(token_BLD)
        return normed_BLD

    def _angles(self, image_BCHW: Tensor) -> Tensor:
        """The angles of the patches' centres, whose places go from -1 to 1 in each direction, whatever the size."""
        rows, columns = (int(side) // self.patch for side in image_BCHW.shape[2:])
        row_H, column_W = (
            2 * (torch.arange(0.5, count, dtype=torch.float32, device=image_BCHW.device) / count) - 1
            for count in (rows, columns)
        )
        speeds = self.head_width // 4
        share_S = torch.arange(speeds, dtype=torch.float32, device=image_BCHW.device) / speeds
        return angles_of_grid(row_H, column_W, 2 * math.pi / LONGEST_PERIOD**share_S)

    def _initialise(self) -> None:
        nn.init.normal_(self.cls_token, std=INIT_STD)
        nn.init.normal_(self.reg_token, std=INIT_STD)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=INIT_STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
