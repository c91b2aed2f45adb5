"""From which confidence on answers are right as often as promised, so that a head may keep silent below it.

Every confidence that a calibration example has is a hypothesis: "answers from here on are right less often than the
target". Which of them to reject is multiple testing (Angelopoulos et al. 2021, arXiv:2110.01052, "learn then test").
They are tested from the highest confidence down. One sequence that ends at its first failure has a chance of at most
`risk` to promise falsely, but a single error among the surest examples ends it. So there are several starts, which
share the risk. A rejection hands its share on to the next hypothesis, a failure loses it, and the next start begins
with its own: the fallback procedure (Wiens 2003, Pharmaceutical Statistics 2:211-215). The first start has two shares,
since it alone finds the threshold of a head that is reliable on few images.

The risk is kept for independent examples if the precision above a confidence falls under the target once and stays
there. For a curve that crosses it several times, and for examples in groups, benchmarks/promises.py measures it.

In groups each group counts the same, whatever its size. The test is the binomial one at the effective number of
examples (Rao and Scott 1992; Korn and Graubard 1998), whose design effect is taken under the hypothesis: where all
answers are right, it makes every group count as one example. The similarity within groups is estimated from groups with
errors. They may be few, so one more is added that is as alike as can be: without it, promises fail too often where
groups are few and alike.

Letters: N examples, from the surest to the least sure.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from vitrail.statistics.clustered import group_weights


def confident_enough(
    confidence_N: NDArray[np.float64],
    correct_N: NDArray[np.bool_],
    *,
    precision: float,
    risk: float,
    group_N: NDArray[np.int64] | None = None,
) -> float | None:
    """The lowest confidence above which answers reach the target precision, except for a small risk.

    `confidence_N` is the probability of the predicted class of calibration examples, `precision` the target as a
    fraction, `risk` the chance that the promise fails; `group_N` is None if examples are independent. None if this test
    finds no such confidence; one may still exist.
    """
    order_N = np.argsort(-confidence_N, kind="stable")
    sorted_N = confidence_N[order_N]
    evidence = _gather(correct_N[order_N], None if group_N is None else group_N[order_N], precision)
    starts = _choose_starts(evidence, precision, risk)
    if not starts:
        return None
    share = risk / (len(starts) + 1)
    starts.insert(0, starts[0])  # two shares
    p_N = evidence.p_values(precision, share)
    level, least = 0.0, None
    for place in np.flatnonzero(np.append(sorted_N[1:] != sorted_N[:-1], True)).tolist():  # whole ties at a time
        while starts and starts[0] <= place:
            starts.pop(0)
            level += share
        if level > 0 and p_N[place] <= level:
            least = float(sorted_N[place])
        else:
            level = 0.0
    return least


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What the surest examples tell, up to each of them: the share of right answers, and how much it weighs.

    `alike_N` is the number of independent examples that would tell as much if groups went right or wrong as one,
    `effective_N` that under the design effect of these answers; `groups_N` counts groups, None if there are none.
    """

    right_N: NDArray[np.float64]
    alike_N: NDArray[np.float64]
    effective_N: NDArray[np.float64]
    groups_N: NDArray[np.int64] | None

    def few(self, level: float) -> NDArray[np.float64]:
        """The factor to effective numbers for a design effect that comes from so few groups; 1 without groups."""
        if self.groups_N is None:
            return np.ones(len(self.right_N))
        student_N = stats.t.isf(level, np.maximum(self.groups_N - 1, 1))
        return np.where(self.groups_N > 1, (stats.norm.isf(level) / student_N) ** 2, 0.0)

    def p_values(self, precision: float, level: float) -> NDArray[np.float64]:
        """The chance of at least so many right answers, if they were right just at the target."""
        n_N = self.effective_N * self.few(level)
        hits_N = self.right_N * n_N
        return np.where(hits_N > 0, special.betainc(np.maximum(hits_N, 1e-300), n_N - hits_N + 1, precision), 1.0)


def _gather(correct_N: NDArray[np.bool_], group_N: NDArray[np.int64] | None, precision: float) -> _Evidence:
    number_N = np.arange(1, len(correct_N) + 1)
    if group_N is None or len(np.unique(group_N)) == len(group_N):
        plain_N = number_N.astype(np.float64)
        return _Evidence(np.cumsum(correct_N) / number_N, plain_N, plain_N, None)
    weight_N = group_weights(group_N)
    off_N = weight_N * (correct_N - precision)
    total_N, alike_N = np.cumsum(weight_N), _squares_of_groups(weight_N, group_N)
    effect_N = np.maximum(1, _squares_of_groups(off_N, group_N) / np.cumsum(off_N**2))
    largest_N = np.maximum(effect_N, alike_N / np.cumsum(weight_N**2))
    wrong_N = _count_groups(group_N, np.flatnonzero(~correct_N))
    effect_N = (wrong_N * effect_N + largest_N) / (wrong_N + 1)
    return _Evidence(
        right_N=np.cumsum(weight_N * correct_N) / total_N,
        alike_N=total_N**2 / alike_N,
        effective_N=total_N**2 / np.cumsum(weight_N**2) / effect_N,
        groups_N=_count_groups(group_N, np.arange(len(group_N))),
    )


def _count_groups(group_N: NDArray[np.int64], row_M: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many groups the given rows are of, up to each of all rows."""
    first_N = np.zeros(len(group_N), np.int64)
    first_N[row_M[np.unique(group_N[row_M], return_index=True)[1]]] = 1
    return np.cumsum(first_N)


def _squares_of_groups(value_N: NDArray[np.float64], group_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """The sum of the squares of the sums of groups, over the first examples up to each."""
    order_N = np.argsort(group_N, kind="stable")
    sum_N = np.cumsum(value_N[order_N])
    start_N = np.flatnonzero(np.append(True, np.diff(group_N[order_N]) != 0))
    earlier_N = np.repeat((sum_N - value_N[order_N])[start_N], np.diff(np.append(start_N, len(group_N))))
    before_N = np.empty(len(group_N))
    before_N[order_N] = sum_N - value_N[order_N] - earlier_N  # the sum of the group's earlier examples
    return np.cumsum(value_N * (2 * before_N + value_N))


def _choose_starts(evidence: _Evidence, precision: float, risk: float) -> list[int]:
    """The places that sequences start at: evenly spaced in logarithm, each at twice the examples of the last or more.

    The first is where the test would reject if all answers were right, the last is the least sure example. None of
    this depends on which answers are right.
    """
    starts: list[int] = []
    while True:
        count = len(starts) + 1
        share = risk / (count + 1)
        first = math.ceil(math.log(2 * share) / math.log(precision))
        alike_N = np.maximum.accumulate(evidence.alike_N * evidence.few(share))
        if first * 2 ** (count - 1) > alike_N[-1]:
            return starts
        wanted = np.geomspace(first, alike_N[-1], count)
        starts = np.searchsorted(alike_N, wanted * (1 - 1e-12)).tolist()
