"""Whether the other accuracy would rank the backbones differently, and whether the test images can show that."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from vitrail.evaluation.contestants import Criteria
from vitrail.evaluation.deciding_metric import DecidingMetric
from vitrail.evaluation.pairs import judge_pairs, turn
from vitrail.evaluation.sentences import say_names, say_rate
from vitrail.evaluation.winners_curse import rate_together
from vitrail.statistics.metrics import DECIDE_BY

# Letters: N test images.

ROUNDING = 1e-9
SHOWN = 6  # backbones that are named


def say_other_order(
    correct: Mapping[str, NDArray[np.bool_]],
    metric: DecidingMetric,
    label_N: NDArray[np.int64],
    group_N: NDArray[np.int64] | None,
    criteria: Criteria,
) -> tuple[str, ...]:
    """A sentence if the accuracy that does not decide would swap two backbones; else nothing.

    `correct` is whether each usable backbone is right on each test image. If all classes have the same number of test
    images, both accuracies are the same.
    """
    (name,) = (name for name in DECIDE_BY if name != metric.name)
    other = DecidingMetric.of(name, label_N)
    here, there = (_rates(correct, one) for one in (metric, other))
    swapped = [(a, b) for a, b in combinations(correct, 2) if _swapped(here[a] - here[b], there[a] - there[b])]
    if not swapped:
        return ()
    pairs = judge_pairs(correct, group_N, criteria, other)
    told = [
        (pair.a, pair.b)
        for pair in (turned for pair in pairs for turned in (pair, turn(pair)))
        if pair.conclusion == "a is better" and ((pair.a, pair.b) in swapped or (pair.b, pair.a) in swapped)
    ]
    level = criteria.level
    figures = [
        f"{name} {say_rate(rate_together(correct[name], group_N, of=len(correct), metric=other, level=level))}"
        for name in sorted(correct, key=lambda name: -there[name])
    ]
    return (f"By {other.word}, the order is different: {say_names(figures, most=SHOWN)}. {_qualify(told, swapped)}",)


def _rates(correct: Mapping[str, NDArray[np.bool_]], metric: DecidingMetric) -> dict[str, float]:
    return {name: float((right_N * metric.weigh(len(right_N))).mean()) for name, right_N in correct.items()}


def _swapped(lead: float, other_lead: float) -> bool:
    return min(abs(lead), abs(other_lead)) > ROUNDING and (lead > 0) != (other_lead > 0)


def _qualify(told: list[tuple[str, str]], swapped: list[tuple[str, str]]) -> str:
    """What the intervals of the other accuracy say about the backbones that swap places."""
    if told:
        return f"By this metric, {say_names([f'{a} beats {b}' for a, b in told])}."
    if len(swapped) == 1:
        return "These two swap places, but the test images do not show which is better by this metric."
    return "The test images do not show which of the backbones that swap places are better by this metric."
