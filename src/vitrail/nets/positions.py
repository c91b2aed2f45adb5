"""A table of position embeddings for another grid of patches, by the rule of each family.

A ViT learns one embedding a patch, so an image of another size needs a table of another size. Everybody interpolates,
and no two families alike; the rules differ by up to 0.8 of the table's norm on noise:

- "bicubic-antialias": timm, whatever the weights (timm/layers/pos_embed.py); DINOv2 with registers
  (dinov2/hub/backbones.py: antialias on, offset 0);
- "bicubic": transformers' ViT and Dinov2 (interpolate_pos_encoding);
- "bicubic-offset": DINO and DINOv2 without registers, which tell torch a scale of (wanted + 0.1) / known and not the
  size, "to avoid floating point error": the embeddings are read at other places (dinov2/models/vision_transformer.py);
- "bilinear": timm when it reads Google's .npz;
- "bilinear-corners": Google's own scipy.ndimage.zoom of order 1, in which the corners stay corners.

Letters: L patches, row by row, D width, H rows and W columns of patches.
"""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

PositionRule = Literal["bicubic-antialias", "bicubic", "bicubic-offset", "bilinear", "bilinear-corners"]
Grid = tuple[int, int]

OFFSET = 0.1  # of a patch; dinov2/hub/backbones.py, interpolate_offset

HOW: dict[PositionRule, dict[str, Any]] = {
    "bicubic-antialias": {"mode": "bicubic", "align_corners": False, "antialias": True},
    "bicubic": {"mode": "bicubic", "align_corners": False, "antialias": False},
    "bicubic-offset": {"mode": "bicubic", "align_corners": False, "antialias": False},
    "bilinear": {"mode": "bilinear", "align_corners": False, "antialias": False},
    "bilinear-corners": {"mode": "bilinear", "align_corners": True, "antialias": False},
}


def resize_positions(position_1LD: Tensor, known: Grid, wanted: Grid, rule: PositionRule) -> Tensor:
    """Interpolate the table of the patches alone, without the class token's row, from one grid to another.

    Grids are rows and columns of patches. Equal grids give the table itself.
    """
    if known == wanted:
        return position_1LD
    map_1DHW = torch.unflatten(position_1LD, 1, known).permute(0, 3, 1, 2)
    if rule == "bicubic-offset":
        scale = [(side + OFFSET) / before for side, before in zip(wanted, known, strict=True)]
        map_1DHW = interpolate(map_1DHW, scale_factor=scale, recompute_scale_factor=False, **HOW[rule])
    else:
        map_1DHW = interpolate(map_1DHW, size=wanted, **HOW[rule])
    return map_1DHW.flatten(2).transpose(1, 2)
