"""Intervals for rates and for means of one figure an example.

All are closed forms, chosen by measured coverage (tests/statistics): with few errors or many small classes the
bootstrap's percentile and BCa intervals, and Wald's, cover far less than they promise.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

# Letters: N examples.

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A figure with its confidence interval: fractions in [0, 1] for rates, nats for NLL.

    The interval is of the value over draws of `n` test examples like these; it always holds the value itself.
    """

    value: float
    low: float
    high: float
    level: float
    method: str
    n: int

    def __post_init__(self) -> None:
        if any(math.isnan(figure) for figure in (self.value, self.low, self.high)):
            raise ValueError(f"{self.value} [{self.low}, {self.high}] is not an interval")


def wilson(correct: int, total: int, level: float = LEVEL) -> Interval:
    """The rate correct / total with Wilson's score interval, without continuity correction.

    Vitrail prints Wilson's interval, not Clopper and Pearson's: averaged over rates its coverage equals the level, so
    readers of many figures are misled as often as the level says. Clopper-Pearson never covers less than the level and
    therefore nearly always more: at n = 100 its intervals are some 6% wider. The normal (Wald) interval, statsmodels'
    default, has no width at 100% accuracy.

    `total` is at least 1. Source: Wilson 1927, JASA 22:209-212.
    """
    limits = stats.binomtest(correct, total).proportion_ci(confidence_level=level, method="wilson")
    value = correct / total
    low, high = min(value, float(limits.low)), max(value, float(limits.high))
    return Interval(value=value, low=low, high=high, level=level, method="wilson", n=total)


def effective_wilson(value: float, n_effective: float, *, n: int, level: float = LEVEL) -> Interval:
    """Wilson's interval of an average in [0, 1] that is not one rate, at its effective number of examples.

    An average of class figures varies as a plain rate over `n_effective` examples would. Wilson's interval at that
    number bends away from 0 and 1 as it does for rates, where value +- z standard errors would leave them (Korn and
    Graubard 1998, Survey Methodology 24:193-201, for rates of complex surveys).

    `n_effective` is value * (1 - value) / variance, both at a smoothed estimate; `n` is the true number of examples,
    for the record.
    """
    z2 = normal_quantile(level) ** 2
    centre = (value + z2 / (2 * n_effective)) / (1 + z2 / n_effective)
    half = math.sqrt(z2 * (value * (1 - value) / n_effective + z2 / (4 * n_effective**2))) / (1 + z2 / n_effective)
    low, high = min(value, max(0.0, centre - half)), max(value, min(1.0, centre + half))
    return Interval(value=value, low=low, high=high, level=level, method="wilson at effective n", n=n)


def mean_interval(values_N: NDArray[np.float64], *, lowest: float, highest: float, level: float = LEVEL) -> Interval:
    """The mean of one figure an example, with Hall's transformed t interval.

    Losses lean to the right: a few examples hold most of the sum, and Student's interval then lies too low (at 300
    examples of a good classifier it misses NLL from below in 4 to 11% of draws, not 2.5%). Hall's cubic removes the
    skewness from t (Hall 1992, J. R. Statist. Soc. B 54:221-228); it does what the bootstrap-t does, without draws.

    `lowest` and `highest` are the least and greatest possible values, at which the interval ends at the latest.
    """
    n = len(values_N)
    value = float(values_N.mean())
    low, high = lowest, highest
    if n > 1:
        error = float(values_N.std(ddof=1)) / math.sqrt(n)
        t = float(stats.t.ppf((1 + level) / 2, n - 1))
        # Nearly equal values have no skewness that floating point could tell.
        lean = float(stats.skew(values_N)) / math.sqrt(n) if error > 1e-9 * max(1.0, abs(value)) else 0.0
        low, high = value - _untransform(t, lean) * error, value - _untransform(-t, lean) * error
    low, high = min(value, max(lowest, low)), max(value, min(highest, high))
    return Interval(value=value, low=low, high=high, level=level, method="hall transformed t", n=n)


def normal_quantile(level: float) -> float:
    """How many standard errors hold the middle `level` of a normal distribution: 1.96 for 0.95."""
    return float(special.ndtri((1 + level) / 2))  # stats.norm.ppf, without its 50 microseconds of checks


def _untransform(y: float, lean: float) -> float:
    """The t for which Hall's cubic t + (lean / 3) t^2 + (lean^2 / 27) t^3 + lean / 6 is y."""
    if abs(lean) < 1e-6:
        return y  # the limit; the closed form below would divide by zero
    return 3 / lean * (math.cbrt(1 + lean * (y - lean / 6)) - 1)
