"""Paired differences of a mean in which examples weigh differently, such as balanced accuracy.

Balanced accuracy is a mean over examples too, each weighted by what its class has to share out among its examples. So a
difference is A - B, the weighted rates of examples that only one of the two gets right. Its variance, with the counts
of the classes taken as given, is at most the sum of squared weights of these examples, so that they tell as much as
(A + B) / variance independent ones would: Tango's interval and the tests of `paired.py` are taken at this effective
number, as they are for groups (`clustered.py`).

A class of few examples may show no discordance and have some all the same, and then it carries most of the variance
unseen. So one more discordance is added to both sums, at the weight of the heaviest example, as Fay and Feuer do for
rates that are standardised (1997, Statistics in Medicine 16:791-801). With equal weights the effective number is that
of the examples, whatever is seen: the interval is Tango's. Without that discordance intervals of a promised 95% were
measured to cover 50% where a class has five examples and errors are rare (benchmarks/coverage_balanced.py).

Letters: N examples.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vitrail.statistics.clustered import clustered_mcnemar, clustered_score, effective_groups, pair_n
from vitrail.statistics.paired import mcnemar_exact, mcnemar_score


def class_weights(label_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each example weighs in a mean over classes: 1 on average, and 1 exactly where all classes have as many."""
    count_C = np.bincount(label_N)
    return np.asarray(len(label_N) / (np.count_nonzero(count_C) * count_C[label_N]))


def weight_effect(lead_N: NDArray[np.int64], weight_N: NDArray[np.float64]) -> float:
    """By how much weights widen the variance of a paired difference: 1 if all are equal.

    `lead_N` is 1 where A alone is right, -1 where B alone is, else 0. Weights are 1 on average.
    """
    discordant_N, heaviest = weight_N[lead_N != 0], float(weight_N.max())
    return float(((discordant_N**2).sum() + heaviest**2) / (discordant_N.sum() + heaviest))


@dataclass(frozen=True, kw_only=True, slots=True)
class Leads:
    """The examples on which A or B leads; `gain_a` and `gain_b` are the sums of their weights.

    `lead_N` is 1 if A alone is right, -1 if B alone is, else 0. `effect` is the factor by which unequal weights reduce
    the number of examples, `group_N` is None if examples are independent, `groups` is the effective number of groups.
    """

    lead_N: NDArray[np.int64]
    heavy_N: NDArray[np.float64]
    group_N: NDArray[np.int64] | None
    gain_a: float
    gain_b: float
    effect: float
    groups: float | None

    @classmethod
    def of(
        cls,
        lead_N: NDArray[np.int64],
        group_N: NDArray[np.int64] | None = None,
        weight_N: NDArray[np.float64] | None = None,
    ) -> Self:
        """The same from leads, groups (None if there are none) and weights, 1 on average (None if they are equal)."""
        weight_N = np.ones(len(lead_N)) if weight_N is None else weight_N
        return cls(
            lead_N=lead_N,
            heavy_N=lead_N * weight_N,
            group_N=group_N,
            gain_a=float(weight_N[lead_N == 1].sum()),
            gain_b=float(weight_N[lead_N == -1].sum()),
            effect=weight_effect(lead_N, weight_N),
            groups=None if group_N is None else effective_groups(group_N, weight_N),
        )

    @property
    def discordance(self) -> float:
        """The rate of discordance, with two pseudo-examples of it: none seen in few does not mean none to come."""
        pseudo = 2 * self.effect
        return (self.gain_a + self.gain_b + pseudo) / (len(self.lead_N) + pseudo)

    def p_values(self) -> tuple[float, float]:
        """McNemar's exact test, or Obuchowski's of groups, and the score test that the interval inverts."""
        if self.group_N is not None:
            score_p = clustered_score(self.heavy_N, self.group_N, self.effect, groups=self.groups)
            return clustered_mcnemar(self.heavy_N, self.group_N), score_p
        only_a, only_b = self.gain_a / self.effect, self.gain_b / self.effect
        return mcnemar_exact(only_a, only_b), mcnemar_score(only_a, only_b)

    def counts(self, level: float) -> tuple[float, float, float]:
        """Images right with A alone and B alone, and all: as many independent ones of one weight as tell the same.

        `level` is that of the interval, whose quantile allows for few groups.
        """
        n = len(self.lead_N)
        told = n if self.group_N is None else pair_n(self.heavy_N, self.group_N, level, groups=self.groups)
        scale = told / n / self.effect
        return self.gain_a * scale, self.gain_b * scale, n * scale
