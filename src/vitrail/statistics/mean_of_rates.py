"""The mean of rates on different examples, with the interval that follows from those of the rates."""

import math
from collections.abc import Sequence

from vitrail.statistics.intervals import Interval


def mean_of_rates(rates: Sequence[Interval], weights: Sequence[float]) -> Interval:
    """A weighted mean of one rate or more, on different examples and at one level; the weights sum to 1.

    The distances from each value to its limits, times the weight, add up as standard errors do: MOVER for a linear
    combination (Zou, Huang and Zhang 2009, Computational Statistics and Data Analysis 53:1080-1085).
    """
    value = sum(weight * rate.value for rate, weight in zip(rates, weights, strict=True))
    below = math.hypot(*(weight * (rate.value - rate.low) for rate, weight in zip(rates, weights, strict=True)))
    above = math.hypot(*(weight * (rate.high - rate.value) for rate, weight in zip(rates, weights, strict=True)))
    return Interval(
        value=value,
        low=max(0.0, value - below),
        high=min(1.0, value + above),
        level=rates[0].level,
        method="mover of a mean",
        n=sum(rate.n for rate in rates),
    )
