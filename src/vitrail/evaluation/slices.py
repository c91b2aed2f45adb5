"""Accuracy by the values of further columns, such as site or camera, and the value where a backbone does worst.

The intervals of all values of all columns of one backbone hold together (Bonferroni), since a
reader who looks for the worst value picks it by its figures. So do those of the differences to the rest, as a separate
family. Levels are then near 1 and slices small, and Clopper and Pearson's intervals hold there while Wilson's do not
(benchmarks/shift.py).

Letters: N test images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vitrail.evaluation.sentences import say_points, say_rate
from vitrail.statistics.clustered import exact_rate
from vitrail.statistics.intervals import Interval
from vitrail.statistics.unpaired import unpaired_difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """The test images with one value of a column; `value` is None for those whose value is missing.

    `below_rest` is the accuracy on all other test images minus that on these, None if there are no others.
    `told_apart` says that its interval excludes 0.
    """

    column: str
    value: str | None
    n: int
    top1: Interval
    below_rest: Interval | None
    told_apart: bool

    @property
    def title(self) -> str:
        """Column and value: "camera = B", "camera missing"."""
        return f"{self.column} missing" if self.value is None else f"{self.column} = {self.value}"


def judge_slices(
    right_N: NDArray[np.bool_],
    columns: Mapping[str, Sequence[str | None]],
    group_N: NDArray[np.int64] | None,
    *,
    level: float,
) -> tuple[Slice, ...]:
    """A slice for each value that a test image has, by column and value, missing values last.

    Args:
        right_N: whether each test image is right.
        columns: the value of each test image in each column.
        group_N: the group of each test image; None if images are independent.
        level: at which the intervals of all slices hold together.
    """
    places = [(column, value) for column, values in columns.items() for value in _sort_values(values)]
    alone = 1 - (1 - level) / max(1, len(places))

    def rate_at(rows: NDArray[np.bool_]) -> Interval:
        return exact_rate(right_N[rows], None if group_N is None else group_N[rows], alone)

    slices = []
    for column, value in places:
        here_N = np.array([other == value for other in columns[column]], dtype=bool)
        top1 = rate_at(here_N)
        below = None if here_N.all() else unpaired_difference(rate_at(~here_N), top1)
        slices.append(
            Slice(
                column=column,
                value=value,
                n=int(here_N.sum()),
                top1=_together(top1, level, len(places)),
                below_rest=None if below is None else _together(below, level, len(places)),
                told_apart=below is not None and not below.low <= 0 <= below.high,
            )
        )
    return tuple(slices)


def find_worst(slices: Sequence[Slice]) -> Slice | None:
    """The least accurate slice that is significantly below the rest; if there is none, the least accurate of all."""
    shown = [each for each in slices if each.below_rest is not None]
    apart = [each for each in shown if each.told_apart and each.below_rest is not None and each.below_rest.value > 0]
    return min(apart or shown, key=lambda each: (each.top1.value, -each.n), default=None)


def say_worst(name: str, slices: Sequence[Slice]) -> tuple[str, ...]:
    """The value on which a backbone does worst, as a caveat of its decision; empty if no value is below the rest."""
    worst = find_worst(slices)
    if worst is None or worst.below_rest is None or worst.below_rest.value <= 0:
        return ()
    least = worst.top1.value == min(each.top1.value for each in slices)
    where = "is least accurate on" if least else "is clearly less accurate on"
    images = "1 test image" if worst.n == 1 else f"{worst.n:,} test images"
    told = "a significant difference" if worst.told_apart else "not a significant difference"
    return (
        f"{name} {where} {worst.title}: {say_rate(worst.top1)} of {images}, {say_points(worst.below_rest)} below the "
        f"rest, {told} (the intervals allow for all {len(slices):,} values shown).",
    )


def _sort_values(values: Sequence[str | None]) -> list[str | None]:
    there = set(values)
    known: list[str | None] = [*sorted(value for value in there if value is not None)]
    return known + ([None] if None in there else [])


def _together(interval: Interval, level: float, count: int) -> Interval:
    method = f"{interval.method}, bonferroni over {count} values" if count > 1 else interval.method
    return replace(interval, level=level, method=method)
