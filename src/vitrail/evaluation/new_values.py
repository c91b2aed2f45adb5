"""Accuracy on values of a column that training never saw, compared with known values, on the same test images.

Each test image has two answers: one from the head that was trained on all values, and one from a head that was trained
without the value of the image. Both figures and their difference are about images of further values like these, so
the value is the unit of the statistics: images of one value tend to be right or wrong together.

Letters: M judged test images.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vitrail.data.leave_out import LeaveOutPlan
from vitrail.evaluation.sentences import say_names, say_points, say_rate
from vitrail.statistics.clustered import exact_rate, pair_n
from vitrail.statistics.intervals import Interval
from vitrail.statistics.paired import paired_difference

FEW_VALUES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueLeftOut:
    """One value: how many of its `n` test images are right with a head that knows it and with a head that does not."""

    value: str
    n: int
    right_known: int
    right_new: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NewValues:
    """One backbone on known and on new values of a column.

    `loss` is `known` minus `new`. `told_apart` says that its interval excludes 0. `kept_share` is the least share of
    train and val that a head without some values was trained on, in `folds` fits; `without_value` and `new_already`
    count the test images that are not judged, and `lost` names classes that a fit had no image of (`LeaveOutPlan`).
    """

    column: str
    known: Interval
    new: Interval
    loss: Interval
    told_apart: bool
    values: tuple[ValueLeftOut, ...]
    folds: int
    kept_share: float
    without_value: int
    new_already: int
    lost: tuple[str, ...]
    sentence: str


def judge_new_values(
    known_M: NDArray[np.bool_], new_M: NDArray[np.bool_], plan: LeaveOutPlan, *, level: float
) -> NewValues:
    """Compare the answers of the head that knows the value of each judged image and the head that never saw it."""
    names = list(plan.value_of.values())
    value_M = _number(names)
    loss = difference_by_value(known_M, new_M, value_M, level=level)
    sizes = Counter(names)
    known_of, new_of = (Counter(v for v, ok in zip(names, M.tolist(), strict=True) if ok) for M in (known_M, new_M))
    judged = NewValues(
        column=plan.column,
        known=exact_rate(known_M, value_M, level),
        new=exact_rate(new_M, value_M, level),
        loss=loss,
        told_apart=not loss.low <= 0 <= loss.high,
        values=tuple(
            ValueLeftOut(value=v, n=sizes[v], right_known=known_of[v], right_new=new_of[v]) for v in sorted(sizes)
        ),
        folds=plan.folds,
        kept_share=plan.kept_share,
        without_value=plan.without_value,
        new_already=plan.new_already,
        lost=plan.lost,
        sentence="",
    )
    return replace(judged, sentence=_say(judged))


def difference_by_value(
    first_M: NDArray[np.bool_], second_M: NDArray[np.bool_], value_M: NDArray[np.int64], *, level: float
) -> Interval:
    """The first accuracy minus the second, over draws of further values.

    The jackknife over values, with Student's quantile at the degrees of freedom of as many values of equal size (Kish):
    values are few and of different sizes, and then other intervals hold too rarely (benchmarks/shift.py). It is never
    narrower than Tango's interval for independent images, which has a width even if the two never differ; in that case
    each value counts as one image.
    """
    lead_M = first_M.astype(np.int64) - second_M
    scale = 1.0 if lead_M.any() else pair_n(lead_M.astype(np.float64), value_M, level) / len(lead_M)
    only_first, only_second = int((lead_M == 1).sum()), int((lead_M == -1).sum())
    alone = paired_difference(only_first * scale, only_second * scale, len(lead_M) * scale, level)
    value, half = float(lead_M.mean()), _jackknife_half_width(lead_M, value_M, level)
    return Interval(
        value=value,
        low=min(alone.low, max(-1.0, value - half)),
        high=max(alone.high, min(1.0, value + half)),
        level=level,
        method="jackknife t, by value",
        n=len(lead_M),
    )


def _jackknife_half_width(lead_M: NDArray[np.int64], value_M: NDArray[np.int64], level: float) -> float:
    size_V = np.bincount(value_M).astype(np.float64)
    values = len(size_V)
    without_V = (lead_M.sum() - np.bincount(value_M, weights=lead_M)) / (len(lead_M) - size_V)
    variance = (values - 1) / values * float(((without_V - without_V.mean()) ** 2).sum())
    equal = size_V.sum() ** 2 / float((size_V**2).sum())
    return float(stats.t.ppf((1 + level) / 2, max(1.0, equal - 1))) * math.sqrt(variance)


def say_new_order(
    names: Sequence[str],
    judged: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]],
    plan: LeaveOutPlan,
    *,
    level: float,
) -> tuple[str, ...]:
    """A sentence if the order of the backbones differs for new values; empty if not, or with one backbone.

    `judged` has, by name, whether each judged image is right: with known values, and with new values.
    """
    first, new_first = (max(names, key=lambda name: judged[name][which].mean()) for which in (0, 1))
    orders = [sorted(names, key=lambda name: -judged[name][which].mean()) for which in (0, 1)]
    if orders[0] == orders[1]:
        return ()
    if first == new_first:
        return (
            f"For values of {plan.column} that training never saw, {first} is still the most accurate, but the order "
            "of the others changes.",
        )
    alone = 1 - (1 - level) / max(1, len(names) - 1)
    value_M = _number(list(plan.value_of.values()))
    lead = difference_by_value(judged[new_first][1], judged[first][1], value_M, level=alone)
    told = "a significant lead" if lead.low > 0 else "not a significant lead"
    return (
        f"For values of {plan.column} that training never saw, the order changes: {new_first} leads {first} by "
        f"{say_points(lead)}, {told}.",
    )


def _number(values: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(np.array(values, dtype=object).astype(str), return_inverse=True)[1].reshape(-1).astype(np.int64)


def _say(judged: NewValues) -> str:
    count = len(judged.values)
    images = f"{judged.known.n:,} test images of {count:,} values"
    told = "a significant difference" if judged.told_apart else "not a significant difference"
    gain = replace(judged.loss, value=0.0 - judged.loss.value, low=0.0 - judged.loss.high, high=0.0 - judged.loss.low)
    change = f"{say_points(judged.loss)} less" if judged.loss.value >= 0 else f"{say_points(gain)} more"
    sentence = (
        f"{say_rate(judged.known)} for known values of {judged.column}, {say_rate(judged.new)} for values that "
        f"training never saw: {change}, {told} ({images}; heads for new values "
        f"had at least {100 * judged.kept_share:.0f}% of the training images, which is part of the difference)."
    )
    if count < FEW_VALUES:
        sentence += f" With only {count} values, this says little about further values."
    if judged.lost:
        sentence += (
            f" A head for new values had no training images of {say_names(judged.lost)}, since all of them have a "
            "value that was left out."
        )
    left = [
        f"{judged.without_value:,} without a value" if judged.without_value else "",
        f"{judged.new_already:,} with a value that training lacks" if judged.new_already else "",
    ]
    if any(left):
        sentence += f" Test images that are not compared: {' and '.join(part for part in left if part)}."
    return sentence
