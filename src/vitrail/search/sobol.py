"""Points of a space of settings, spread evenly and drawn from a seed: a scrambled Sobol sequence.

The first 16 of 64 points are the 16 points of a search of 16, so more trials add to what fewer would have tried.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from vitrail.search.trial import Setting

# Letters: T trials, A axes.


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included; spread evenly over their logarithms where `log` is set."""

    low: float
    high: float
    log: bool = False

    def at(self, share: float) -> float:
        """The number at a share in [0, 1) of the way, to three digits."""
        if self.log:
            return float(f"{math.exp(math.log(self.low) + share * math.log(self.high / self.low)):.3g}")
        return float(f"{self.low + share * (self.high - self.low):.3g}")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several, each as often as the others."""

    of: tuple[float, ...] | tuple[str, ...]

    def at(self, share: float) -> float | str:
        """The one at a share in [0, 1) of the way."""
        return self.of[int(share * len(self.of))]


def sobol(space: Mapping[str, Range | Choice], *, start: int, count: int, seed: int) -> list[Setting]:
    """Some points of a space.

    Args:
        space: its axes, in an order that matters.
        start: how many points of the sequence to leave out.
        count: how many to give; a power of two spreads best.
        seed: of the scrambling.

    Returns:
        A setting a point.
    """
    sequence = qmc.Sobol(d=len(space), scramble=True, rng=np.random.default_rng(seed))
    # Drawing in blocks of powers of two is what scipy can do without a warning; the sequence is the same.
    point_TA = sequence.random_base2(max(1, math.ceil(math.log2(start + count))))[start : start + count]
    return [
        {name: axis.at(float(share)) for (name, axis), share in zip(space.items(), row, strict=True)}
        for row in point_TA
    ]
