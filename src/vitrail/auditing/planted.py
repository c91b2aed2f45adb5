"""How good a judge of labels is, measured on wrong labels that are planted in the user's own data.

A share of the labels is replaced by other classes, drawn at random; the heads are fitted again, each example by a head
that was not trained on it, and the same rule flags labels. Recall is the share of the planted labels that are flagged.

What share of the flags is right cannot be known from the data alone, which may have wrong labels of its own. So there
are two figures. The least counts every flag on one of the user's own labels as a false alarm. The expected one credits
a share of these flags. A random wrong label is as often in the less probable half of the other classes as in the more
probable half; if a judge merely confuses two classes, the given label is among the most probable ones. The credited
share is how often flags on own labels are in the less probable half, divided by how often flags on planted labels are.
With two classes there is no such half, and nothing is credited. Mistakes between classes that look alike are credited
too little, so that a judge is rather called too weak than too good.

Flags are ordered by how far the probability of the label is below that of the most probable class. Half of the rounds
set how far it must be below, so that at least half of the flags are expected to be right; the other half of the rounds
measure recall and precision at this limit.

Letters: N examples, C classes, F flags.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.evaluation.sentences import say_rate
from vitrail.statistics.clustered import clustered_n
from vitrail.statistics.confident_learning import label_margins, suspect_labels
from vitrail.statistics.intervals import Interval, effective_wilson, wilson

SHARE = 0.05  # of the labels, in each round
ENOUGH = 100  # planted labels in each half of the rounds; more would narrow the intervals little
MOST_ROUNDS = 10
LIMITS = 20  # that are tried: shares of the flags, from all of them downwards
LEAST_ACCURACY = 0.5  # a judge that disagrees with more than half of the labels tells nothing of single ones
LEAST_PRECISION = 0.5  # at least every second flag must be right

Judge = Callable[[NDArray[np.int64]], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlantedErrors:
    """Outcome of planting wrong labels: fractions, with 95% intervals.

    `limit` is the largest margin of a flag, the probability of the label less that of the most probable class; None if
    no limit makes half of the flags right, and then the figures are those without a limit. `planted` labels were
    planted, `share` of all in each of `rounds`, of which `recall` were flagged among `flags` in all: these rounds had
    no part in setting the limit. `least_precision` counts every flag on one of the user's own labels as wrong,
    `precision` credits those that look like planted ones; both are None if nothing was flagged. `own_precision` is the
    share that is credited: which share of the flags on the user's own labels is right, if wrong labels are random.
    """

    share: float
    rounds: int
    planted: int
    flags: int
    limit: float | None
    recall: Interval
    least_precision: Interval | None
    precision: Interval | None
    own_precision: Interval | None


@dataclass(frozen=True, slots=True)
class _Flags:
    """The flags of some rounds: their rows, whether each is planted, whether its label is far from probable."""

    row_F: NDArray[np.int64]
    is_planted_F: NDArray[np.bool_]
    is_far_F: NDArray[np.bool_]
    margin_F: NDArray[np.float64]

    def within(self, limit: float) -> "_Flags":
        """Those with a margin up to the limit."""
        return self._take(self.margin_F <= limit)

    @property
    def least_precision(self) -> Interval | None:
        """The share that is planted."""
        return self._mean(self.is_planted_F.astype(np.float64))

    @property
    def precision(self) -> Interval | None:
        """The share that is planted or credited."""
        own = self.own_precision
        return self._mean(np.where(self.is_planted_F, 1.0, own.value if own else 0.0))

    @property
    def own_precision(self) -> Interval | None:
        """The share of flags on own labels that is credited; None without flags of both kinds, or any that are far."""
        planted, own = self._take(self.is_planted_F), self._take(~self.is_planted_F)
        far_planted, far_own = (flags._mean(flags.is_far_F.astype(np.float64)) for flags in (planted, own))
        if far_planted is None or far_own is None or far_planted.low == 0:
            return None
        return Interval(
            value=min(1.0, far_own.value / far_planted.value),
            low=min(1.0, far_own.low / far_planted.high),
            high=min(1.0, far_own.high / far_planted.low),
            level=far_own.level,
            method="ratio of the ends of two intervals",
            n=far_own.n,
        )

    def _take(self, kept_F: NDArray[np.bool_]) -> "_Flags":
        return _Flags(self.row_F[kept_F], self.is_planted_F[kept_F], self.is_far_F[kept_F], self.margin_F[kept_F])

    def _mean(self, value_F: NDArray[np.float64]) -> Interval | None:
        """The mean over flags; those on one image in several rounds count as much as they differ."""
        if len(value_F) == 0:
            return None
        number_F = np.unique(self.row_F, return_inverse=True)[1].astype(np.int64)
        value = float(value_F.mean())
        several = int(number_F.max()) > 0
        n_effective = clustered_n(float(len(value_F)), value_F - value, number_F) if several else 1.0
        return effective_wilson(value, n_effective, n=len(value_F))


def plant_errors(label_N: NDArray[np.int64], classes: int, judge: Judge, *, seed: int = 0) -> PlantedErrors:
    """Plant wrong labels round by round, set the limit on one half of the rounds, and measure it on the other.

    Args:
        label_N: the labels as they are, of two classes or more.
        classes: C.
        judge: gives N x C probabilities of examples with these labels, each by a head that did not learn from it.
        seed: of the draws. No label is planted in two rounds.
    """
    draws = np.random.default_rng(seed)
    N = len(label_N)
    count = max(1, round(SHARE * N))
    half = max(1, min(MOST_ROUNDS // 2, -(-ENOUGH // count), N // (2 * count)))
    order_N = draws.permutation(N)

    def flag(rounds: range) -> _Flags:
        parts = []
        for place in rounds:
            rows = order_N[place * count : (place + 1) * count]
            planted_N = label_N.copy()
            planted_N[rows] = (label_N[rows] + draws.integers(1, classes, len(rows))) % classes
            parts.append(_flag(judge(planted_N), planted_N, rows))
        return _join(parts)

    limit = _find_limit(flag(range(half)))
    measured = flag(range(half, 2 * half))
    if limit is not None:
        measured = measured.within(limit)
    return PlantedErrors(
        share=SHARE,
        rounds=half,
        planted=half * count,
        flags=len(measured.row_F),
        limit=limit,
        recall=wilson(int(measured.is_planted_F.sum()), half * count),
        least_precision=measured.least_precision,
        precision=measured.precision,
        own_precision=measured.own_precision,
    )


def why_too_weak(accuracy: Interval, planted: PlantedErrors) -> str:
    """Why a judge is not good enough to flag labels, in a sentence; "" if it is.

    A judge must agree with half of the labels or more, at the lower end of the interval, and there must be a limit with
    which half of its flags or more are expected to be right: at the lower end of the interval in the rounds that set
    it, and again in the others.
    """
    if accuracy.low < LEAST_ACCURACY:
        return (
            f"It agrees with {say_rate(accuracy)} of the labels; a judge must agree with at least {LEAST_ACCURACY:.0%}."
        )
    if planted.precision is None:
        return f"It found none of the {planted.planted:,} wrong labels that were planted to test it."
    if planted.limit is None or planted.precision.value < LEAST_PRECISION:
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
    if planted.least_precision is None:
        return test + recall
    return f"{test}{recall} Of all its flags, {say_rate(planted.least_precision)} were on them."


def say_own(planted: PlantedErrors) -> str:
    """Which share of the flags on the user's own labels is right, in words; true of a judge that is not too weak."""
    if planted.own_precision is None:
        return "If fewer labels are wrong, a smaller share of flags is right."
    return (
        f"Of its flags on your own labels, an estimated {say_rate(planted.own_precision)} are right, if your labels "
        "are wrong at random; between classes that look alike more may be."
    )


def _flag(probability_NC: NDArray[np.float64], label_N: NDArray[np.int64], planted: NDArray[np.int64]) -> _Flags:
    row_F = suspect_labels(probability_NC, label_N).row_S
    C = probability_NC.shape[1]
    above_F = (probability_NC[row_F] > probability_NC[row_F, label_N[row_F]][:, None]).sum(axis=1)
    is_far_F = above_F >= C - (C - 1) // 2
    return _Flags(row_F, np.isin(row_F, planted), is_far_F, label_margins(probability_NC[row_F], label_N[row_F]))


def _join(parts: Sequence[_Flags]) -> _Flags:
    return _Flags(
        np.concatenate([part.row_F for part in parts]),
        np.concatenate([part.is_planted_F for part in parts]),
        np.concatenate([part.is_far_F for part in parts]),
        np.concatenate([part.margin_F for part in parts]),
    )


def _find_limit(flags: _Flags) -> float | None:
    """The largest of some margins up to which half of the flags are right at the lower end of the interval."""
    if len(flags.margin_F) == 0:
        return None
    if (precision := flags.precision) is not None and precision.low >= LEAST_PRECISION:
        return 0.0  # every flag
    for share in np.arange(LIMITS - 1, 0, -1) / LIMITS:
        limit = float(np.quantile(flags.margin_F, share))
        precision = flags.within(limit).precision
        if precision is not None and precision.low >= LEAST_PRECISION:
            return limit
    return None
