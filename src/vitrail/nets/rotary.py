"""Rotary positions: queries and keys are turned by an angle that grows with their place.

Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", arXiv:2104.09864 (section 3.2).
The product of a turned query and a turned key depends on how far apart they are, not on where they are. In an image the
first half of a head's angles grows with the row and the second half with the column. Nothing is learnt, so another size
of image needs no table of positions.

Which two numbers are turned together differs: number i and i + E/2 of a head ("halves": DINOv3, as Llama), or 2i and
2i + 1 ("neighbours": EVA-02, as the paper has it). Weights load in either and are right in one.

Letters: B images, A attention heads, L patches, G tokens before them, T = G + L tokens, E width of one head, R = E/2
angles of one head, S = E/4 speeds, the same for rows and columns, H rows and W columns of patches.
"""

from typing import Literal

import torch
from torch import Tensor

Pairs = Literal["halves", "neighbours"]


def angles_of_grid(row_H: Tensor, column_W: Tensor, speed_S: Tensor) -> Tensor:
    """The angles of every patch, row by row: `angle_LR` with R = 2 S, those of its row before those of its column.

    Each speed is an angle for a step of length 1.
    """
    row_HWS = (row_H[:, None, None] * speed_S).expand(-1, len(column_W), -1)
    column_HWS = (column_W[None, :, None] * speed_S).expand(len(row_H), -1, -1)
    return torch.cat((row_HWS, column_HWS), dim=-1).flatten(0, 1)


def turn(vector_BATE: Tensor, angle_LR: Tensor, pairs: Pairs) -> Tensor:
    """Turn each pair of numbers of the last L tokens; the G before them, such as the class token, stay as they are.

    The turn itself is in the dtype of the angles, float32, also where the network runs in less.
    """
    G = vector_BATE.shape[2] - len(angle_LR)
    kept_BAGE, patch_BALE = vector_BATE.tensor_split((G,), dim=2)
    sine_LR, cosine_LR = angle_LR.sin(), angle_LR.cos()
    if pairs == "halves":
        first_BALR, second_BALR = patch_BALE.chunk(2, dim=-1)
    else:
        first_BALR, second_BALR = torch.unflatten(patch_BALE, -1, (-1, 2)).unbind(dim=-1)
    turned_BALR = (
        first_BALR * cosine_LR - second_BALR * sine_LR,
        second_BALR * cosine_LR + first_BALR * sine_LR,
    )
    turned_BALE = torch.cat(turned_BALR, dim=-1) if pairs == "halves" else torch.stack(turned_BALR, dim=-1).flatten(-2)
    return torch.cat((kept_BAGE, turned_BALE.to(vector_BATE.dtype)), dim=2)
