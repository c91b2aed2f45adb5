"""Accuracy against the time of an image: which backbones no other one beats in both (the Pareto front).

The front follows from accuracies as they are and from times that differ clearly. Whether the more accurate of two
neighbours on it is better beyond chance is taken from the pairs. A backbone that saw the test images is not on it and
pushes nobody off it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from vitrail.delivery.units import milliseconds
from vitrail.evaluation import Pair
from vitrail.evaluation.contamination import saw_the_test
from vitrail.evaluation.sentences import say_names, say_rate
from vitrail.runs import Results
from vitrail.statistics.intervals import Interval

ALIKE = 1.25  # times within this factor count as alike, since other work on the machine moves them; a guess


@dataclass(frozen=True, kw_only=True, slots=True)
class CostPoint:
    """A backbone. `rate` is the metric that decided, `ms` the milliseconds of an image in its network.

    `beaten_by` is the most accurate one on the front that is more accurate and about as fast or faster, or as accurate
    and clearly faster; "" if there is none.
    """

    name: str
    rate: Interval
    ms: float
    beaten_by: str
    saw_test: bool

    @property
    def on_front(self) -> bool:
        """Whether no other backbone beats it."""
        return not self.beaten_by and not self.saw_test


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontStep:
    """Neighbours on the front: whether the test images show that the slower one is more accurate."""

    faster: CostPoint
    slower: CostPoint
    shown: bool


def place_costs(results: Results) -> tuple[CostPoint, ...]:
    """Every backbone whose time was measured, the fastest first."""
    metric = results.options.decide_by
    measured = [
        CostPoint(
            name=result.name,
            rate=result.test.deciding(metric),
            ms=1000 / result.cost.images_per_s,
            beaten_by="",
            saw_test=saw_the_test(result.contamination, results.options.margin),
        )
        for result in results.backbones
        if result.cost.images_per_s > 0
    ]
    front: list[CostPoint] = []
    placed = []
    for point in sorted(measured, key=lambda point: (-point.rate.value, point.ms, point.name)):
        beating = None if point.saw_test else next((other for other in front if _beats(other, point)), None)
        placed.append(replace(point, beaten_by=beating.name if beating else ""))
        if placed[-1].on_front:
            front.append(placed[-1])
    return tuple(sorted(placed, key=lambda point: (point.ms, -point.rate.value, point.name)))


def list_steps(points: Sequence[CostPoint], pairs: Sequence[Pair]) -> tuple[FrontStep, ...]:
    """The neighbours on the front, from the fastest to the most accurate."""
    better = {(pair.a, pair.b) if pair.conclusion == "a is better" else (pair.b, pair.a) for pair in _decided(pairs)}
    front = [point for point in points if point.on_front]
    return tuple(
        FrontStep(faster=faster, slower=slower, shown=(slower.name, faster.name) in better)
        for faster, slower in pairwise(front)
    )


def say_front(points: Sequence[CostPoint], pairs: Sequence[Pair], names: Mapping[str, str]) -> str:
    """The front in words, with short names; "" for fewer than two backbones."""
    if len(points) < 2:
        return ""
    front = [point for point in points if point.on_front]
    if not front:
        return "All of these backbones saw the test images, so their accuracies are not weighed against time."
    if len(front) == 1:
        return f"No other backbone was more accurate here than {_say(front[0], names)}, or clearly faster."
    beaten = [names[point.name] for point in points if point.beaten_by and not point.saw_test]
    rest = ""
    if beaten:
        are, each = ("is", "") if len(beaten) == 1 else ("are", " each time")
        better = "one of these is about as fast or faster, and at least as accurate"
        rest = f" {say_names(beaten)} {are} beaten:{each} {better}."
    unshown = [step for step in list_steps(points, pairs) if not step.shown]
    doubts = [f"{names[step.slower.name]} is more accurate than {names[step.faster.name]}" for step in unshown]
    doubt = f" These images do not show that {say_names(doubts, most=len(doubts))}." if doubts else ""
    listed = [_say(point, names) for point in front]
    return f"From the fastest to the most accurate: {say_names(listed, most=len(listed))}.{rest}{doubt}"


def _beats(other: CostPoint, point: CostPoint) -> bool:
    """Whether a backbone that is at least as accurate makes another one pointless."""
    if other.rate.value > point.rate.value:
        return other.ms <= ALIKE * point.ms
    return ALIKE * other.ms < point.ms


def _decided(pairs: Sequence[Pair]) -> list[Pair]:
    return [pair for pair in pairs if pair.conclusion in ("a is better", "b is better")]


def _say(point: CostPoint, names: Mapping[str, str]) -> str:
    return f"{names[point.name]} ({say_rate(point.rate)}, {milliseconds(1000 / point.ms)} ms/image)"
