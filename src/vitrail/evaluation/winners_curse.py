"""What is left of the best of many, corrected for having been chosen on the very images that praise it.

Of several backbones the one that looks best had luck on its side more often than not. So the choice is repeated on
parts of the images that do not include those it is scored on: the images are dealt into five folds, the best on four of
them is scored on the fifth, and the mean over folds and many deals is the corrected figure. On images that took no part
in a choice the chosen has no luck, so this is, without bias, the accuracy of what four fifths of the images would
choose. Where the choice is clear that is the winner itself. Where it is not, fewer images choose a little worse, which
makes the figure a little too low rather than too high (benchmarks/coverage_pick.py). The bootstrap was measured beside
it and left a third of the luck: its draws see differences that are luck already as true ones. Nothing is assumed but
that the images, or their groups, are independent draws.

The interval is Wilson's at the level of Bonferroni's correction over all backbones, which holds for whichever is
chosen. Where images come in groups, whole groups are dealt and the interval is that of groups.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vitrail.evaluation.sentences import say_rate
from vitrail.statistics.intervals import LEVEL, Interval
from vitrail.statistics.metrics import rate

# Letters: N examples, G groups, K backbones, U units that are dealt whole, F folds.

FOLDS = 5
DEALS = 100
SHOWN = 0.0005  # half a tenth of a point


@dataclass(frozen=True, kw_only=True, slots=True)
class WinnersCurse:
    """The most accurate of `of` backbones: its top-1 as seen, and with the choice allowed for."""

    name: str
    of: int
    seen: float
    luck: float
    corrected: Interval


def correct_winner(
    correct: Mapping[str, NDArray[np.bool_]],
    group_N: NDArray[np.int64] | None = None,
    *,
    generator: np.random.Generator,
    level: float = LEVEL,
) -> WinnersCurse | None:
    """Correct the accuracy of the best of several; None for a single backbone.

    Args:
        correct: whether each backbone is right on each of the same test images; of equal ones the first is the best.
        group_N: the number of each image's group; None if images are independent.
        generator: deals the images, or the groups, into folds.
        level: of the corrected interval.
    """
    if len(correct) < 2:
        return None
    names = list(correct)
    right_KN = np.stack([correct[name] for name in names])
    rate_K = right_KN.mean(axis=1)
    best = int(rate_K.argmax())
    value = min(float(rate_K[best]), _score_choice(right_KN, group_N, generator))
    wide = rate_together(right_KN[best], group_N, of=len(names), level=level)
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
    correct_N: NDArray[np.bool_], group_N: NDArray[np.int64] | None, *, of: int, level: float = LEVEL
) -> Interval:
    """A top-1 with an interval that holds together with those of all `of` backbones, by Bonferroni's correction.

    It holds for the one that a ranking puts first as for any other.
    """
    wide = rate(correct_N, group_N, level=1 - (1 - level) / of)
    return wide if of == 1 else replace(wide, level=level, method=f"{wide.method}, bonferroni over {of}")


def _score_choice(
    right_KN: NDArray[np.bool_], group_N: NDArray[np.int64] | None, generator: np.random.Generator
) -> float:
    """The mean accuracy on each fold of the best on the other folds; of equally good ones the mean.

    A single unit cannot be dealt out: then all backbones count as equally good.
    """
    right_KU = _sum_units(right_KN, group_N)
    units, total_K = right_KU.shape[1], right_KU.sum(axis=1)
    folds = min(FOLDS, units)
    if folds < 2:
        return float(right_KN.mean())
    score = 0.0
    for _ in range(DEALS):
        fold_U = generator.permutation(units) % folds
        right_KF = right_KU @ (fold_U[:, None] == np.arange(folds)).astype(np.float32)
        others_KF = total_K[:, None] - right_KF
        best_KF = others_KF == others_KF.max(axis=0)
        score += float((np.where(best_KF, right_KF, 0.0).sum(axis=0) / best_KF.sum(axis=0)).sum())
    return score / (DEALS * right_KN.size / len(right_KN))


def _sum_units(right_KN: NDArray[np.bool_], group_N: NDArray[np.int64] | None) -> NDArray[np.float32]:
    """On how many images of each unit each backbone is right; a unit is a group, or one image.

    float32 holds whole numbers up to 16 million, and takes half the memory.
    """
    if group_N is None:
        return right_KN.astype(np.float32)
    groups = int(group_N.max()) + 1
    right_KG = [np.bincount(group_N, weights=right_N, minlength=groups) for right_N in right_KN]
    return np.stack(right_KG).astype(np.float32)


def say_winner(winner: WinnersCurse | None) -> tuple[str, ...]:
    """What to add to a decision; nothing where the correction would not show."""
    if winner is None or winner.luck < SHOWN:
        return ()
    return (
        f"{winner.name} is the best of {winner.of} on these very images; without the luck of being chosen, it is at "
        f"{say_rate(winner.corrected)}.",
    )
