"""Rates and differences where examples come in groups: frames of one film, pictures of one animal.

Images of one group go right and wrong together, so that n of them tell as much as n / effect independent ones would.
The design effect is estimated from the data, and counts are divided by it before the interval for independent examples
is taken (Rao and Scott 1992, Biometrics 48:577-585). An estimate below 1 is taken as 1: groups are never a gain.

Letters: N examples, G groups.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vitrail.statistics.intervals import LEVEL, Interval, effective_wilson, normal_quantile


def clustered_rate(correct_N: NDArray[np.bool_], group_N: NDArray[np.int64], level: float = LEVEL) -> Interval:
    """A rate with Wilson's interval at its effective number of examples.

    The variance is that of a ratio over groups, and Student's quantile at G - 1 degrees of freedom stands for the
    normal one (Korn and Graubard 1998). Where all examples go one way there is nothing to estimate an effect from:
    then every group counts as one example.

    Args:
        correct_N: whether each example counts.
        group_N: the number of its group, 0 to G - 1; two groups at least.
        level: the confidence level.

    Returns:
        The rate with its interval.
    """
    n, groups = len(correct_N), int(group_N.max()) + 1
    value = float(correct_N.mean())
    if 0 < value < 1:
        off_G = np.bincount(group_N, weights=correct_N - value, minlength=groups)
        variance = groups / (groups - 1) * float((off_G**2).sum()) / n**2
        widen = (normal_quantile(level) / float(stats.t.ppf((1 + level) / 2, groups - 1))) ** 2
        n_effective = min(float(n), value * (1 - value) / variance) * widen if variance > 0 else float(n)
    else:
        n_effective = float(groups)
    found = effective_wilson(value, n_effective, n=n, level=level)
    return Interval(value=value, low=found.low, high=found.high, level=level, method="wilson, by group", n=n)


def pair_effect(lead_N: NDArray[np.int64], group_N: NDArray[np.int64]) -> float:
    """By how much groups widen the variance of a paired difference: 1 where each example is a group of its own.

    Args:
        lead_N: 1 where A alone is right, -1 where B alone is, else 0.
        group_N: the number of each example's group, 0 to G - 1.

    Returns:
        The design effect, at least 1.
    """
    discordant = int((lead_N != 0).sum())
    if discordant == 0:
        return 1.0
    lead_G = np.bincount(group_N, weights=lead_N)
    return max(1.0, float((lead_G**2).sum()) / discordant)


def clustered_mcnemar(lead_N: NDArray[np.int64], group_N: NDArray[np.int64]) -> float:
    """The two-sided p value that A and B are equally accurate, for examples in groups.

    Obuchowski's test (1998, Statistics in Medicine 17:1495-1507): the sum of leads over the root of the sum of squared
    leads of the groups, against Student's distribution at one less than the number of groups with a lead.

    Args:
        lead_N: 1 where A alone is right, -1 where B alone is, else 0.
        group_N: the number of each example's group.

    Returns:
        The p value; 1 where at most one group shows a difference, since nothing can be told from one.
    """
    lead_G = np.bincount(group_N, weights=lead_N)
    leading = int((lead_G != 0).sum())
    if leading < 2:
        return 1.0
    statistic = abs(float(lead_G.sum())) / math.sqrt(float((lead_G**2).sum()))
    return float(2 * stats.t.sf(statistic, leading - 1))
