"""The difference of two rates on different examples, from the interval of each."""

import math

from vitrail.statistics.intervals import Interval


def unpaired_difference(a: Interval, b: Interval) -> Interval:
    """The rate of `a` minus that of `b`, on other examples, with the interval that follows from those of both.

    The distances from the value to the limits add up as standard errors do. From Wilson's intervals this is Newcombe's
    method 10 (1998, Statistics in Medicine 17:873-890); from others, MOVER (Zou and Donner 2008, Statistics in Medicine
    27:1693-1702). It treats both as independent, and is too wide if images of one group are on both sides.
    """
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return Interval(value=value, low=low, high=high, level=a.level, method=f"mover from {a.method}", n=a.n + b.n)
