"""Figures as text: per cent and points with one decimal, costs as shares, counts in round numbers.

Only this module turns fractions into percentages.
"""

import math
from collections.abc import Sequence

from vitrail.statistics.intervals import Interval

NAMED_SHARES = ((1 / 2, "half"), (1 / 3, "a third"), (1 / 4, "a quarter"), (1 / 5, "a fifth"), (1 / 10, "a tenth"))
FEW = 10  # images: no estimate of how many would settle it is more precise
NAMED_WITHIN = 0.05  # relative: 4.6 is "a quarter" of 17.6, and 41% stays 41%


def say_rate(interval: Interval) -> str:
    """A rate with its interval: "84.7% [82.1, 87.0]"."""
    return f"{_hundredths(interval.value)}% {_say_limits(interval)}"


def say_points(interval: Interval) -> str:
    """A difference of rates with its interval: "10.1 points [9.2, 11.0]"."""
    return f"{_hundredths(interval.value)} points {_say_limits(interval)}"


def say_distance(fraction: float) -> str:
    """A bound on a distance between rates, rounded up to a tenth: "1 point", "0.5 points"."""
    points = f"{math.ceil(1000 * fraction - 1e-9) / 10:.1f}".removesuffix(".0")
    return f"{points} point" if points == "1" else f"{points} points"


def say_names(names: Sequence[str], *, most: int = 4) -> str:
    """A list in words: "a, b and c", or "a, b, c, d and 9 more"."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most:,} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def say_share(part: float, whole: float) -> str:
    """One cost as a share of another: "a quarter of", "71% of", "as much as"."""
    share = part / whole if whole > 0 else 1.0
    if abs(share - 1) < 0.005:
        return "as much as"
    for exact, name in NAMED_SHARES:
        if abs(share / exact - 1) <= NAMED_WITHIN:
            return f"{name} of"
    return f"{100 * share:.2g}% of" if share < 1 else f"{share:.1f} times"


def say_image_range(least: float, most: float) -> str:
    """How many more test images would settle it, to the precision of an estimate: "between 900 and 35,000".

    A count above a million becomes "more than a million", a start of at most ten "a few".
    """
    low, high = _round_count(least), _round_count(most)
    if low is None:
        return "more than a million more test images"
    if low == high:
        return f"about {low:,} more test images"
    start = "a few" if low == FEW else f"{low:,}"
    return f"between {start} and {'more than a million' if high is None else f'{high:,}'} more test images"


def _round_count(count: float) -> int | None:
    """Rounded up to half a unit of the leading digit: 873 is 900, 1,230 is 1,500; None above a million."""
    if not count <= 1e6:
        return None
    scale = int(10 ** math.floor(math.log10(max(count, 1.0))))
    return max(FEW, math.ceil(2 * count / scale - 1e-9) * scale // 2)


def say_p(p_value: float) -> str:
    """A p value to two digits: "p = 0.031", "p < 0.0001"."""
    return "p < 0.0001" if p_value < 1e-4 else f"p = {p_value:.2g}"


def _say_limits(interval: Interval) -> str:
    return f"[{_hundredths(interval.low)}, {_hundredths(interval.high)}]"


def _hundredths(fraction: float) -> str:
    text = f"{100 * fraction:.1f}"
    return "0.0" if text == "-0.0" else text
