"""The random draws of training, the same for one head and for many.

The seed and the epoch give one order of the examples and, step by step, one number for each feature of each row of the
minibatch. All heads share them; a head with dropout p drops the features whose number is below p. So two heads differ
by their settings and not by chance, and heads that are trained one after the other can draw the same again.
"""

import numpy as np
import torch
from torch import Tensor

# Letters: N examples, B examples of a minibatch, D features.

LEVELS = 1 << 16  # dropout is a multiple of 1 / 65,536
ORDER, DROPOUT = 0, 1  # streams of an epoch


class Draws:
    """One stream of an epoch. SFC64 is the fastest of numpy's generators, and numpy promises not to change it."""

    def __init__(self, seed: int, epoch: int, stream: int) -> None:
        self._numbers = np.random.Generator(np.random.SFC64([seed, epoch, stream]))

    def order(self, examples: int) -> Tensor:
        """The rows' numbers, shuffled."""
        return torch.from_numpy(self._numbers.permutation(examples))

    def levels(self, rows: int, features: int) -> Tensor:
        """B x D whole numbers in [-LEVELS / 2, LEVELS / 2), four from each 64 random bits."""
        count = rows * features
        words = self._numbers.integers(0, 1 << 64, size=(count + 3) // 4, dtype=np.uint64)
        return torch.from_numpy(words.view(np.int16)[:count]).view(rows, features)


def threshold(dropout: float) -> int:
    """A feature is dropped if its level, counted from 0, is below this."""
    return min(round(dropout * LEVELS), LEVELS - 1)


def drop(feature_BD: Tensor, level_BD: Tensor, below: int) -> Tensor:
    """The rows, with 0 for each level below the threshold; the rest is not scaled up yet: see `kept_scale`."""
    if not below:
        return feature_BD
    least = below - LEVELS // 2
    # 1 where kept and 0 where not, in whole numbers of 16 bits: a comparison gives bytes, and takes four times as long.
    kept_BD = level_BD.clamp(least - 1, least).sub_(least - 1)
    return kept_BD.to(feature_BD.dtype).mul_(feature_BD)


def kept_scale(below: int) -> float:
    """The factor that scales up the kept features, so that the mean stays."""
    return LEVELS / (LEVELS - below)
