"""The winner's setting on other splits of train and val: how far a figure on val moves with the luck of the split.

Train and val are dealt anew, stratified and with groups whole, as often as asked; the setting is fitted on the one
part and scored on the other. The test is not touched: it stays one draw, whose luck its interval tells.

What the spread covers: which images were learnt from and which were judged on. What it does not cover: the choice of
the setting, which is not made anew, and the draw of all these images together, since the splits share them: the spread
is smaller than that between data sets of their own (Nadeau and Bengio 2003, Machine Learning 52:239-281). Part of it is
the sampling of val alone, which is said beside it. All backbones get the same splits, so they can be compared on each.

Letters: M examples of a val.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Resplit:
    """One other split: the ids of its val, their labels, and what the setting fitted on the rest predicts."""

    number: int
    ids: tuple[str, ...] = field(repr=False)
    label_M: NDArray[np.int64] = field(repr=False)
    predicted_M: NDArray[np.int64] = field(repr=False)

    @property
    def accuracy(self) -> float:
        """On this val."""
        return float((self.label_M == self.predicted_M).mean())


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSpread:
    """Accuracy on the val of each other split, and how far it moves: `deviation` (divided by splits - 1) around `mean`.

    `sampling` is the deviation that drawing a val of `n` out of these `pool` images would give by itself, images being
    independent: sqrt(mean (1 - mean) / n (1 - n / pool)). What is beyond it comes from what was learnt from.
    """

    n: int
    pool: int
    accuracies: tuple[float, ...]
    mean: float
    deviation: float
    sampling: float


def spread_of(resplits: Sequence[Resplit], pool: int) -> SplitSpread | None:
    """How far the accuracy moves between splits of a pool of images; None where there are none."""
    if not resplits:
        return None
    rates, n = [one.accuracy for one in resplits], round(float(np.mean([len(one.ids) for one in resplits])))
    mean = float(np.mean(rates))
    return SplitSpread(
        n=n,
        pool=pool,
        accuracies=tuple(rates),
        mean=mean,
        deviation=float(np.std(rates, ddof=1)),
        sampling=float(np.sqrt(mean * (1 - mean) / n * (1 - n / pool))),
    )
