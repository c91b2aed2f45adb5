"""The backbones side by side, and two by two: the rows of both tables with their small drawings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitrail.delivery.report import words
from vitrail.delivery.report.svg import Axis, drawing, element, fit, interval_mark
from vitrail.evaluation import Pair, Slice, find_worst, turn
from vitrail.runs import BackboneResult, Results
from vitrail.statistics.intervals import Interval

COLOURS = 8  # of the style sheet; the ninth backbone has the first colour again, and its name beside it
WIDTH, HEIGHT, EDGE = 150.0, 18.0, 10.0
AXIS_HEIGHT = 22.0
PAIR_WIDTH = 170.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One backbone of the table. `colour` is the number of its colour all over the page, `worst` its worst slice."""

    result: BackboneResult
    colour: int
    chosen: bool
    worst: Slice | None
    mark: Markup


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRow:
    """One pair: the drawing of the difference, how the images fall, and the conclusion in words.

    `could_turn` says that training on other images could turn the conclusion.
    """

    pair: Pair
    mark: Markup
    shares: Markup
    both: int
    neither: int
    conclusion: str
    could_turn: bool


def assign_colours(results: Results) -> dict[str, int]:
    """The colour of each backbone, by name."""
    return {result.name: 1 + i % COLOURS for i, result in enumerate(results.backbones)}


def sort_best_first(results: Results) -> list[BackboneResult]:
    """The backbones by the metric that decided; of equals the cheaper first."""
    rate = deciding_rates(results)
    return sorted(
        results.backbones, key=lambda result: (-round(rate[result.name].value, 12), result.card.gmacs, result.name)
    )


def deciding_rates(results: Results) -> dict[str, Interval]:
    """The metric that decided of each backbone, by name."""
    return {result.name: result.test.deciding(results.options.decide_by) for result in results.backbones}


def compare(results: Results) -> tuple[list[Row], Markup]:
    """The rows of the main table, and the axis above their drawings."""
    rate = deciding_rates(results)
    axis = _rate_axis(rate.values())
    colour = assign_colours(results)
    rows = [
        Row(
            result=result,
            colour=colour[result.name],
            chosen=result.name == results.decision.choose,
            worst=find_worst(result.conditions.slices),
            mark=_mark(rate[result.name], axis),
        )
        for result in sort_best_first(results)
    ]
    return rows, _axis(axis, WIDTH, [f"{100 * tick:g}" for tick in axis.ticks()])


def compare_pairs(results: Results, margin: float) -> tuple[list[PairRow], Markup]:
    """The rows of the table of pairs, the better backbone of each first, and the axis above their differences.

    The margin, below which cost decides, is drawn as a band. Both are empty if there is only one backbone.
    """
    if not results.pairs:
        return [], Markup("")
    rank = {result.name: place for place, result in enumerate(sort_best_first(results))}
    turned = [pair if rank[pair.a] < rank[pair.b] else turn(pair) for pair in results.pairs]
    order = sorted(turned, key=lambda pair: (rank[pair.a], rank[pair.b]))
    ends = [end for pair in order for end in (pair.difference.low, pair.difference.high)]
    axis = fit([*ends, -margin, margin], start=EDGE, end=PAIR_WIDTH - EDGE, ticks=4, snug=True)
    top1 = {result.name: result.test.top1 for result in results.backbones}
    could_turn = {frozenset((pair.a, pair.b)) for pair in results.retrained if pair.could_turn}
    rows = [_pair_row(pair, top1, axis, margin, frozenset((pair.a, pair.b)) in could_turn) for pair in order]
    return rows, _axis(axis, PAIR_WIDTH, [words.points(tick).removesuffix(".0") for tick in axis.ticks()])


def _rate_axis(intervals: Iterable[Interval]) -> Axis:
    ends = [end for interval in intervals for end in (interval.low, interval.high)]
    return fit(ends, start=EDGE, end=WIDTH - EDGE, ticks=4, snug=True)


def _axis(axis: Axis, width: float, labels: Sequence[str]) -> Markup:
    marks = [
        element("text", label, x=axis.at(tick), y=11.0, text_anchor="middle")
        + element("line", class_="tick", x1=axis.at(tick), x2=axis.at(tick), y1=15.0, y2=AXIS_HEIGHT)
        for tick, label in zip(axis.ticks(), labels, strict=True)
    ]
    return drawing(*marks, width=width, height=AXIS_HEIGHT, class_="axis")


def _mark(interval: Interval, axis: Axis) -> Markup:
    grid = [
        element("line", class_="grid", x1=axis.at(tick), x2=axis.at(tick), y1=0.0, y2=HEIGHT) for tick in axis.ticks()
    ]
    return drawing(*grid, interval_mark(interval, axis, HEIGHT / 2), width=WIDTH, height=HEIGHT, class_="mark")


def _pair_row(pair: Pair, top1: dict[str, Interval], axis: Axis, margin: float, could_turn: bool) -> PairRow:
    n = pair.difference.n
    both = round(top1[pair.a].value * n) - pair.only_a
    neither = n - both - pair.only_a - pair.only_b
    return PairRow(
        pair=pair,
        mark=_difference(pair.difference, axis, margin),
        shares=_shares((both, pair.only_a, pair.only_b, neither), n),
        both=both,
        neither=neither,
        conclusion=_conclude(pair, margin),
        could_turn=could_turn,
    )


def _difference(difference: Interval, axis: Axis, margin: float) -> Markup:
    left, right = axis.at(-margin), axis.at(margin)
    band = element("rect", class_="band", x=left, y=0.0, width=right - left, height=HEIGHT)
    zero = element("line", class_="zero", x1=axis.at(0.0), x2=axis.at(0.0), y1=0.0, y2=HEIGHT)
    mark = interval_mark(difference, axis, HEIGHT / 2)
    return drawing(band, zero, mark, width=PAIR_WIDTH, height=HEIGHT, class_="mark")


def _shares(parts: tuple[int, int, int, int], n: int) -> Markup:
    bars, x = [], 0.0
    for part, class_ in zip(parts, ("both", "only-a", "only-b", "neither"), strict=True):
        width = PAIR_WIDTH * part / n
        bars.append(element("rect", class_=class_, x=x, y=0.0, width=width, height=8.0))
        x += width
    return drawing(*bars, width=PAIR_WIDTH, height=8.0, class_="shares")


def _conclude(pair: Pair, margin: float) -> str:
    if pair.conclusion == "a is better":
        return f"{pair.a} is better"
    if pair.conclusion == "b is better":
        return f"{pair.b} is better"
    if pair.conclusion == "equivalent":
        return f"as good as each other, to within {100 * margin:g} points"
    return "not decided by these images"
