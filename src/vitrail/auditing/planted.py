"""How good a judge of labels is, measured on wrong labels that are planted in the user's own data.

A share of the labels is replaced by other classes, drawn at random; the heads are fitted again, each example by a head
that did not learn from it, and the same rule flags labels. Recall is the share of the planted labels that are flagged.

What share of the flags is right cannot be known from the data alone, which may have wrong labels of its own. So there
are two figures. The least counts every flag on one of the user's own labels as a false alarm. The expected one credits
a share of these flags. A random wrong label lies as often in the less probable half of the other classes as in the more
probable half; where a judge merely confuses two classes, the given label is among the most probable ones. The share
that is credited is how often flags on own labels lie in the less probable half, divided by how often flags on planted
ones do. With two classes there is no such half, and nothing is credited. Mistakes between classes that look alike are
credited too little, so that a judge is rather called too weak than too good.

Letters: N examples, C classes, F flags of all rounds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.evaluation.sentences import say_rate
from vitrail.statistics.clustered import clustered_n
from vitrail.statistics.confident_learning import suspect_labels
from vitrail.statistics.intervals import Interval, effective_wilson, wilson

SHARE = 0.05  # of the labels, in each round
ENOUGH = 100  # planted labels in all rounds; more would narrow the intervals little
MOST_ROUNDS = 10
LEAST_ACCURACY = 0.5  # a judge that disagrees with more than half of the labels tells nothing of single ones
LEAST_PRECISION = 0.5  # at least every second flag must be right

Judge = Callable[[NDArray[np.int64]], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlantedErrors:
    """Outcome of planting wrong labels: fractions, with 95% intervals.

    `share` of the labels were planted in each of `rounds`, `planted` in all, of which `found` were flagged. `flags` is
    the number of flags in all rounds. `least_precision` counts every flag on one of the user's own labels as wrong,
    `precision` credits those that look like planted ones; both are None if nothing was flagged.
    """

    share: float
    rounds: int
    planted: int
    found: int
    flags: int
    recall: Interval
    least_precision: Interval | None
    precision: Interval | None


def plant_errors(label_N: NDArray[np.int64], classes: int, judge: Judge, *, seed: int = 0) -> PlantedErrors:
    """Plant wrong labels round by round and count which of them are flagged.

    Args:
        label_N: the labels as they are, of two classes or more.
        classes: C.
        judge: gives N x C probabilities of examples with these labels, each by a head that did not learn from it.
        seed: of the draws. No label is planted in two rounds.
    """
    draws = np.random.default_rng(seed)
    N = len(label_N)
    count = max(1, round(SHARE * N))
    rounds = max(1, min(MOST_ROUNDS, -(-ENOUGH // count), N // count))
    order_N = draws.permutation(N)
    flagged = [
        _flag(_plant(label_N, classes, rows, draws), rows, judge)
        for rows in (order_N[place * count : (place + 1) * count] for place in range(rounds))
    ]
    row_F, is_planted_F, is_far_F = (np.concatenate(parts) for parts in zip(*flagged, strict=True))
    found = int(is_planted_F.sum())
    value_F = np.where(is_planted_F, 1.0, _credit(is_planted_F, is_far_F))
    return PlantedErrors(
        share=SHARE,
        rounds=rounds,
        planted=rounds * count,
        found=found,
        flags=len(row_F),
        recall=wilson(found, rounds * count),
        least_precision=_mean_by_row(is_planted_F.astype(np.float64), row_F),
        precision=_mean_by_row(value_F, row_F),
    )


def why_too_weak(accuracy: Interval, planted: PlantedErrors) -> str:
    """Why a judge is not good enough to flag labels, in a sentence; "" if it is.

    A judge must agree with half of the labels or more, and half of its flags or more must be expected to be right, both
    at the lower end of their 95% intervals.
    """
    if accuracy.low < LEAST_ACCURACY:
        return (
            f"It agrees with {say_rate(accuracy)} of the labels; a judge must agree with {LEAST_ACCURACY:.0%} or more."
        )
    if planted.precision is None:
        return f"It found none of {planted.planted:,} wrong labels that were planted to test it."
    if planted.precision.low < LEAST_PRECISION:
        return (
            f"When {planted.share:.0%} of the labels are made wrong to test it, {say_rate(planted.precision)} of its "
            f"flags are expected to be right; a judge needs at least {LEAST_PRECISION:.0%}."
        )
    return ""


def say_planted(planted: PlantedErrors) -> str:
    """Recall and precision on planted errors in words."""
    rounds = "once" if planted.rounds == 1 else f"{planted.rounds} times"
    test = f"Test of the judge: {planted.share:.0%} of the labels were made wrong at random, {rounds}. "
    recall = f"It found {say_rate(planted.recall)} of these {planted.planted:,} labels."
    if planted.least_precision is None or planted.precision is None:
        return test + recall
    least = f"{test}{recall} Of all its flags, {say_rate(planted.least_precision)} were on them"
    if planted.precision == planted.least_precision:
        return f"{least}."
    return (
        f"{least}. The others were on your own labels: if those that look wrong at random are, "
        f"{say_rate(planted.precision)} of all flags are right."
    )


def _plant(
    label_N: NDArray[np.int64], classes: int, rows: NDArray[np.int64], draws: np.random.Generator
) -> NDArray[np.int64]:
    planted_N = label_N.copy()
    planted_N[rows] = (label_N[rows] + draws.integers(1, classes, len(rows))) % classes
    return planted_N


def _flag(
    label_N: NDArray[np.int64], rows: NDArray[np.int64], judge: Judge
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """The rows that are flagged, whether each is planted, and whether its label is among the less probable ones."""
    probability_NC = judge(label_N)
    row_F = suspect_labels(probability_NC, label_N).row_S
    C = probability_NC.shape[1]
    above_F = (probability_NC[row_F] > probability_NC[row_F, label_N[row_F]][:, None]).sum(axis=1)
    return row_F, np.isin(row_F, rows), above_F >= C - (C - 1) // 2


def _credit(is_planted_F: NDArray[np.bool_], is_far_F: NDArray[np.bool_]) -> float:
    """Which share of the flags on own labels look as random as those on planted ones."""
    far_planted = float(is_far_F[is_planted_F].mean()) if is_planted_F.any() else 0.0
    far_own = float(is_far_F[~is_planted_F].mean()) if not is_planted_F.all() else 0.0
    return min(1.0, far_own / far_planted) if far_planted else 0.0


def _mean_by_row(value_F: NDArray[np.float64], row_F: NDArray[np.int64]) -> Interval | None:
    """The mean over all flags; flags on the same image in several rounds tell no more than they have in common."""
    if len(value_F) == 0:
        return None
    number_F = np.unique(row_F, return_inverse=True)[1].astype(np.int64)
    rows = int(number_F.max()) + 1
    value = float(value_F.mean())
    n_effective = clustered_n(float(len(value_F)), value_F - value, number_F) if rows > 1 else 1.0
    return effective_wilson(value, n_effective, n=len(value_F))
