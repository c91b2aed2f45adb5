"""The accuracy of the best of several backbones, corrected for having been chosen on the same test images.

The backbone that looks best of several was more often lucky than not. So the choice is repeated on images that are not
used for the score: the images are dealt into five folds, the best on four of them is scored on the fifth, and the mean
over folds and many deals is the corrected figure. Under balanced accuracy images have their weights in the choice and
in the score. On images that took no part in the choice the winner has no luck, so this is an unbiased estimate of the
accuracy of what four fifths of the images would choose. If the choice is clear, that is the winner itself. If it is
not, fewer images choose a little worse, which makes the figure a little too low rather than too high
(benchmarks/coverage_pick.py). The bootstrap was measured too and left a third of the luck: its draws take differences
that are luck for true ones. The only assumption is that the images, or their groups, are independent draws.

The interval is that of the metric (Wilson's for top-1) at the level of Bonferroni's correction over all backbones, so
it holds whichever is chosen. Candidates that left a race before the test are counted too. That is cautious: the race
reads no test image, so it gives no luck on the test. If images come in groups, whole groups are dealt and the interval
is that of groups.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vitrail.evaluation.deciding_metric import TOP1, DecidingMetric
from vitrail.evaluation.sentences import say_rate
from vitrail.statistics.intervals import LEVEL, Interval

# Letters: N examples, G groups, K backbones, U units that are dealt whole, F folds.

FOLDS = 5
DEALS = 100
SHOWN = 0.0005  # half a tenth of a point
ROUNDING = 1e-12  # sums of weights that are equal may differ in their last digits


@dataclass(frozen=True, kw_only=True, slots=True)
class WinnersCurse:
    """The best of `of` backbones by the deciding metric: its figure as seen, and corrected for the choice."""

    name: str
    of: int
    seen: float
    luck: float
    corrected: Interval


def correct_winner(
    correct: Mapping[str, NDArray[np.bool_]],
    group_N: NDArray[np.int64] | None = None,
    *,
    left: int = 0,
    metric: DecidingMetric = TOP1,
    generator: np.random.Generator,
    level: float = LEVEL,
) -> WinnersCurse | None:
    """Correct the accuracy of the best of several; None for a single backbone.

    Args:
        correct: whether each backbone is right on each of the same test images; the first wins a tie.
        group_N: the number of each image's group; None if images are independent.
        left: candidates that left a race before the test, which the level counts as well.
        metric: defines the best.
        generator: deals the images, or the groups, into folds.
        level: of the corrected interval.
    """
    if len(correct) < 2:
        return None
    names = list(correct)
    right_KN = np.stack([correct[name] for name in names])
    credit_KN = right_KN * metric.weigh(right_KN.shape[1])
    rate_K = credit_KN.mean(axis=1)
    best = int((rate_K > rate_K.max() - ROUNDING).argmax())
    value = min(float(rate_K[best]), _score_choice(credit_KN, group_N, generator))
    wide = rate_together(right_KN[best], group_N, of=len(names) + left, metric=metric, level=level)
    corrected = replace(
        wide,
        value=value,
        low=min(value, wide.low),
        high=max(value, wide.high),
        method=f"{wide.method}; value from images that took no part in the choice",
    )
    luck = float(rate_K[best]) - value
    return WinnersCurse(name=names[best], of=len(names), seen=float(rate_K[best]), luck=luck, corrected=corrected)


def rate_together(
    correct_N: NDArray[np.bool_],
    group_N: NDArray[np.int64] | None,
    *,
    of: int,
    metric: DecidingMetric = TOP1,
    level: float = LEVEL,
) -> Interval:
    """The accuracy of one backbone with an interval that holds together with those of all `of` backbones.

    By Bonferroni's correction, so it also holds for the backbone that a ranking puts first.
    """
    wide = metric.rate(correct_N, group_N, level=1 - (1 - level) / of)
    return wide if of == 1 else replace(wide, level=level, method=f"{wide.method}, bonferroni over {of}")


def _score_choice(
    credit_KN: NDArray[np.float64], group_N: NDArray[np.int64] | None, generator: np.random.Generator
) -> float:
    """The mean accuracy on each fold of the best on the other folds; a tie counts with the mean of the tied.

    `credit_KN` is the weight of each image that a backbone gets right, else 0. A single unit cannot be dealt: then all
    backbones count as tied.
    """
    credit_KU = _sum_units(credit_KN, group_N)
    units, total_K = credit_KU.shape[1], credit_KU.sum(axis=1)
    folds = min(FOLDS, units)
    if folds < 2:
        return float(credit_KN.mean())
    score = 0.0
    for _ in range(DEALS):
        fold_U = generator.permutation(units) % folds
        credit_KF = credit_KU @ (fold_U[:, None] == np.arange(folds)).astype(np.float64)
        others_KF = total_K[:, None] - credit_KF
        best_KF = others_KF > others_KF.max(axis=0) - ROUNDING * credit_KN.shape[1]
        score += float((np.where(best_KF, credit_KF, 0.0).sum(axis=0) / best_KF.sum(axis=0)).sum())
    return score / (DEALS * credit_KN.size / len(credit_KN))


def _sum_units(credit_KN: NDArray[np.float64], group_N: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """The credit of each backbone in each unit; a unit is a group, or one image."""
    if group_N is None:
        return credit_KN
    groups = int(group_N.max()) + 1
    return np.stack([np.bincount(group_N, weights=credit_N, minlength=groups) for credit_N in credit_KN])


def say_winner(winner: WinnersCurse | None, metric: DecidingMetric = TOP1) -> tuple[str, ...]:
    """The caveat of a decision; empty if the correction is too small to show."""
    if winner is None or winner.luck < SHOWN:
        return ()
    return (
        f"{winner.name} was chosen as the best of {winner.of} on these test images, which favours it; corrected for "
        f"that, its {metric.word} is {say_rate(winner.corrected)}.",
    )
