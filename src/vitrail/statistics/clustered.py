"""Figures and differences if examples come in groups: frames of one film, photographs of one animal.

Images of one group tend to be right or wrong together, so that n of them give as much information as n / effect
independent images. The design effect is estimated from the data, and counts are divided by it before the interval for
independent examples is taken (Rao and Scott 1992, Biometrics 48:577-585). An estimate below 1 counts as 1: groups never
add information.

If a figure is not a plain rate, the effect is that of its influences, how far each example moves the figure, summed by
group (Taylor linearisation; Binder 1983, International Statistical Review 51:279-292). The bootstrap of groups was
measured too (benchmarks/coverage.py) and not chosen: with 20 groups its percentile intervals cover less.

Letters: N examples, G groups. `group_N` is the number of each example's group, 0 to G - 1; `clustered_mean`,
`clustered_n` and `pair_n` need at least two groups.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from vitrail.statistics.intervals import LEVEL, Interval, effective_wilson, mean_interval, normal_quantile

ROUNDING = 1e-9  # weights are 1 on average, and leads of a group that cancel may leave their last digits


def group_weights(group_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """The weight of each example if every group counts as one, whatever its size; numbers need not be consecutive."""
    _, place_N, size_G = np.unique(group_N, return_inverse=True, return_counts=True)
    return np.asarray(1 / size_G[place_N])


def clustered_rate(
    correct_N: NDArray[np.bool_],
    group_N: NDArray[np.int64],
    level: float = LEVEL,
    *,
    weight_N: NDArray[np.float64] | None = None,
) -> Interval:
    """A rate with Wilson's interval at its effective number of examples.

    The variance is that of a ratio over groups, and Student's quantile at G - 1 degrees of freedom replaces the normal
    one (Korn and Graubard 1998). If all examples have the same outcome, or all belong to one group, an effect cannot be
    estimated: then every group counts as one example. `weight_N` is None if all examples weigh the same.
    """
    weight_N = np.ones(len(correct_N)) if weight_N is None else weight_N
    value = float(np.average(correct_N, weights=weight_N))
    n_effective = rate_n(correct_N, group_N, weight_N, level)
    interval = effective_wilson(value, n_effective, n=len(correct_N), level=level)
    return replace(interval, method="wilson, by group")


def exact_rate(correct_N: NDArray[np.bool_], group_N: NDArray[np.int64] | None, level: float = LEVEL) -> Interval:
    """A rate with Clopper and Pearson's interval, at its effective number of examples where there are groups.

    For levels near 1, as Bonferroni's correction asks for: there Wilson's interval holds too seldom for small numbers
    of examples, and this one never does. With groups it is Korn and Graubard's (1998), as is `clustered_rate`.
    """
    n, value = len(correct_N), float(correct_N.mean())
    count = float(n) if group_N is None else rate_n(correct_N, group_N, np.ones(n), level)
    tail, hits = (1 - level) / 2, value * count
    low = float(special.betaincinv(hits, count - hits + 1, tail)) if hits > 0 else 0.0
    high = float(special.betaincinv(hits + 1, count - hits, 1 - tail)) if hits < count else 1.0
    method = "clopper pearson" if group_N is None else "clopper pearson, by group"
    return Interval(value=value, low=min(value, low), high=max(value, high), level=level, method=method, n=n)


def rate_n(
    correct_N: NDArray[np.bool_], group_N: NDArray[np.int64], weight_N: NDArray[np.float64], level: float
) -> float:
    """How many independent examples would tell as much of a rate; see `clustered_rate`."""
    group_N = np.unique(group_N, return_inverse=True)[1]
    n, groups = len(correct_N), int(group_N.max()) + 1
    value = float(np.average(correct_N, weights=weight_N))
    if not 0 < value < 1 or groups == 1:
        return float(groups)
    off_G = np.bincount(group_N, weights=weight_N * (correct_N - value), minlength=groups)
    variance = groups / (groups - 1) * float((off_G**2).sum()) / float(weight_N.sum()) ** 2
    plain = min(float(n), value * (1 - value) / variance) if variance > 0 else float(n)
    return plain * few_groups(groups, level)


def clustered_mean(
    values_N: NDArray[np.float64],
    group_N: NDArray[np.int64],
    *,
    lowest: float,
    highest: float,
    level: float = LEVEL,
) -> Interval:
    """The mean of one figure an example, with Hall's transformed t interval over what each group moves it by.

    `lowest` and `highest` are the least and greatest possible values, at which the interval ends at the latest; it is
    never narrower than for independent examples.
    """
    n, groups = len(values_N), int(group_N.max()) + 1
    alone = mean_interval(values_N, lowest=lowest, highest=highest, level=level)
    moved_G = np.bincount(group_N, weights=values_N - alone.value, minlength=groups) * groups / n
    by_group = mean_interval(alone.value + moved_G, lowest=lowest, highest=highest, level=level)
    return Interval(
        value=alone.value,
        low=min(alone.low, by_group.low),
        high=max(alone.high, by_group.high),
        level=level,
        method=f"{alone.method}, by group",
        n=n,
    )


def clustered_n(
    n_effective: float, influence_N: NDArray[np.float64], group_N: NDArray[np.int64], level: float = LEVEL
) -> float:
    """An effective number of independent examples, less what groups take of it.

    `n_effective` is that for independent examples, `influence_N` what each example moves the figure by, 0 in sum. If no
    example moves the figure, each group counts as one example.
    """
    n, groups = len(group_N), int(group_N.max()) + 1
    if not influence_N.any():
        return n_effective * groups / n
    return n_effective * few_groups(groups, level) / design_effect(influence_N, group_N)


def design_effect(
    influence_N: NDArray[np.float64], group_N: NDArray[np.int64], stratum_N: NDArray[np.int64] | None = None
) -> float:
    """By how much groups widen the variance of a figure: 1 where each example is a group of its own.

    `influence_N` is how far each example moves the figure: not all 0, but 0 in sum in each stratum. `stratum_N` numbers
    the parts of the figure, such as its bins; None if there is only one. The effect is at least 1.
    """
    groups = int(group_N.max()) + 1
    cell_N = group_N if stratum_N is None else stratum_N * groups + group_N
    cell, number_N = np.unique(cell_N, return_inverse=True)
    together = np.bincount(number_N, weights=influence_N) ** 2
    groups_J = np.bincount(cell // groups)
    free = (groups_J / np.maximum(groups_J - 1, 1))[cell // groups]  # one sum of each stratum follows from the others
    return max(1.0, float((free * together).sum() / (influence_N**2).sum()))


def few_groups(groups: float, level: float) -> float:
    """The factor to an effective number of examples for a variance that was estimated from so many groups."""
    return (normal_quantile(level) / float(special.stdtrit(groups - 1, (1 + level) / 2))) ** 2


def effective_groups(group_N: NDArray[np.int64], weight_N: NDArray[np.float64]) -> float:
    """How many groups of one weight tell as much of a variance: all of them if weights, 1 on average, are equal.

    The degrees of freedom of a sum of squares that grow with the squared weights of the groups (Satterthwaite 1946,
    Biometrics Bulletin 2:110-114), against those of the groups without weights; two at least.
    """
    size_G, weight_G = np.bincount(group_N), np.bincount(group_N, weights=weight_N)
    weighted, alike = ((one_G**2).sum() ** 2 / (one_G**4).sum() for one_G in (weight_G, size_G.astype(np.float64)))
    return float(max(2.0, min(1.0, weighted / alike) * len(size_G)))


def pair_n(
    lead_N: NDArray[np.float64], group_N: NDArray[np.int64], level: float = LEVEL, *, groups: float | None = None
) -> float:
    """How many independent examples would give as much information about a paired difference.

    Tango's interval at this number is the inverse of the test of `clustered_mcnemar`: the variance between groups is
    the variance under no difference, and Student's quantile at G - 1 degrees of freedom replaces the normal one. With
    few groups it is as cautious as that test: at 95% fewer than seven cannot show a difference.

    `lead_N` is the weight of an example that A alone gets right, less than 0 for one of B alone, else 0. The effect of
    unequal weights (`weighted.py`) is not included; `groups` is their effective number if weights make it smaller. If A
    and B agree on all examples, each group counts as one example.
    """
    groups = float(group_N.max()) + 1 if groups is None else groups
    if not lead_N.any():
        return groups
    return len(lead_N) * few_groups(groups, level) / pair_effect(lead_N, group_N)


def pair_effect(lead_N: NDArray[np.float64], group_N: NDArray[np.int64]) -> float:
    """By how much groups widen the variance of a paired difference: 1 where each example is a group of its own.

    `lead_N` is the weight of an example that A alone gets right, less than 0 for one of B alone, else 0; not all are 0.
    The effect is at least 1.
    """
    lead_G = np.bincount(group_N, weights=lead_N)
    return max(1.0, float((lead_G**2).sum() / (lead_N**2).sum()))


def clustered_mcnemar(lead_N: NDArray[np.float64], group_N: NDArray[np.int64]) -> float:
    """The two-sided p value that A and B are equally accurate, for examples in groups.

    Obuchowski's test (1998, Statistics in Medicine 17:1495-1507): the sum of leads over the root of the sum of squared
    leads of the groups, against Student's distribution at one less than the number of groups with a lead.

    `lead_N` is the weight of an example that A alone gets right, less than 0 for one of B alone, else 0. The p value is
    1 if at most one group shows a difference: a single group proves nothing about others.
    """
    lead_G = np.bincount(group_N, weights=lead_N)
    leading = int((np.abs(lead_G) > ROUNDING).sum())
    if leading < 2:
        return 1.0
    statistic = abs(float(lead_G.sum())) / math.sqrt(float((lead_G**2).sum()))
    return 2 * float(special.stdtr(leading - 1, -statistic))


def clustered_score(
    lead_N: NDArray[np.float64], group_N: NDArray[np.int64], effect: float = 1.0, *, groups: float | None = None
) -> float:
    """The two-sided p value of the test that Tango's interval at `pair_n` / `effect` examples inverts.

    Below 1 - level exactly where that interval at this level leaves out 0. It differs from `clustered_mcnemar` in that
    groups are never a gain, and in its degrees of freedom: one less than the number of all groups.

    `lead_N` is the weight of an example that A alone gets right, less than 0 for one of B alone, else 0; `effect` is
    what unequal weights take by themselves (`weighted.py`), and `groups` as for `pair_n`. The p value is 1 without
    discordant examples.
    """
    if not lead_N.any():
        return 1.0
    groups = float(group_N.max()) + 1 if groups is None else groups
    spread = math.sqrt(float(np.abs(lead_N).sum()) * effect * pair_effect(lead_N, group_N))
    return 2 * float(special.stdtr(groups - 1, -abs(float(lead_N.sum())) / spread))
