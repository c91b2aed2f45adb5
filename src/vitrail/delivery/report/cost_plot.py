"""Accuracy against the time of an image, as a drawing with numbered points, the fastest first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitrail.delivery.cost_front import CostPoint, FrontStep, list_steps, place_costs, say_front
from vitrail.delivery.report.names import Names
from vitrail.delivery.report.numbered import number_places
from vitrail.delivery.report.svg import Axis, draw_grid, drawing, element, fit, say_percent
from vitrail.delivery.units import milliseconds
from vitrail.runs import Results

WIDTH, HEIGHT = 360.0, 250.0  # as wide as the text of a phone, where it keeps the size of its letters
LEFT, RIGHT, TOP, BOTTOM = 42.0, 14.0, 12.0, 40.0
MOST_TICKS = 6
RADIUS = 4.5
OFFSETS = ((-7.0, -5.0), (7.0, 13.0), (7.0, -5.0), (-7.0, 13.0))  # of a number; the front rises to the right


@dataclass(frozen=True, kw_only=True, slots=True)
class CostPlot:
    """The drawing, the points in its order, and the front in words; `unmeasured` are backbones without a time."""

    drawing: Markup
    points: tuple[CostPoint, ...]
    sentence: str
    unmeasured: tuple[str, ...]

    @property
    def numbers(self) -> dict[str, int]:
        """The number of each point, by name."""
        return {point.name: number for number, point in enumerate(self.points, start=1)}


def draw_costs(results: Results, names: Names) -> CostPlot | None:
    """The plot of a run; None if fewer than two of its backbones have a time."""
    points = place_costs(results)
    if len(points) < 2:
        return None
    sentence = say_front(points, results.pairs, names.short)
    measured = {point.name for point in points}
    return CostPlot(
        drawing=_draw(points, list_steps(points, results.pairs), names, sentence),
        points=points,
        sentence=sentence,
        unmeasured=tuple(result.name for result in results.backbones if result.name not in measured),
    )


def _draw(points: Sequence[CostPoint], steps: Sequence[FrontStep], names: Names, sentence: str) -> Markup:
    ends = [end for point in points for end in (point.rate.low, point.rate.high)]
    y = fit(ends, start=HEIGHT - BOTTOM, end=TOP, ticks=4, most=1.0)
    x = _fit_times([point.ms for point in points])
    places = [(x.at(math.log10(point.ms)), y.at(point.rate.value)) for point in points]
    return drawing(
        element("desc", sentence),
        *draw_grid(y, LEFT, WIDTH - RIGHT, say_percent),
        *_times(x),
        *[_step(step, x, y) for step in steps],
        *[_point(point, place, y, names) for point, place in zip(points, places, strict=True)],
        *number_places(places, OFFSETS, radius=RADIUS, bounds=(0.0, 0.0, WIDTH, HEIGHT)),
        width=WIDTH,
        height=HEIGHT,
        class_="chart costs",
        label="Accuracy of each backbone against its milliseconds an image",
    )


def _fit_times(times: Sequence[float]) -> Axis:
    """A logarithmic axis, in powers of ten."""
    low, high = math.log10(min(times)), math.log10(max(times))
    room = max(0.06 * (high - low), 0.05)
    return Axis(low=low - room, high=high + room, step=1, start=LEFT + 6, end=WIDTH - RIGHT)


def list_ticks(low: float, high: float) -> list[float]:
    """Round milliseconds between two powers of ten: 1, 2, 5, 10 and so on, finer where there are few, not too many."""
    first, last = math.floor(low), math.ceil(high)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        inside = [tick for tick in ticks if low <= math.log10(tick) <= high]
        if len(inside) >= 3:
            return inside[:: -(-len(inside) // MOST_TICKS)]
    return [10.0**low, 10.0**high]


def _times(x: Axis) -> list[Markup]:
    floor = HEIGHT - BOTTOM
    ticks = [
        element("line", class_="grid", x1=at, x2=at, y1=floor, y2=floor + 4)
        + element("text", f"{tick:.3g}", x=at, y=floor + 16, text_anchor="middle")
        for tick in list_ticks(x.low, x.high)
        for at in [x.at(math.log10(tick))]
    ]
    title = element("text", "ms an image (logarithmic axis)", x=(LEFT + WIDTH) / 2, y=HEIGHT - 6, text_anchor="middle")
    return [*ticks, title]


def _step(step: FrontStep, x: Axis, y: Axis) -> Markup:
    """A line between neighbours on the front; dashed where the images do not show the gain."""
    return element(
        "line",
        class_="front" if step.shown else "front unshown",
        x1=x.at(math.log10(step.faster.ms)),
        y1=y.at(step.faster.rate.value),
        x2=x.at(math.log10(step.slower.ms)),
        y2=y.at(step.slower.rate.value),
    )


def _point(point: CostPoint, place: tuple[float, float], y: Axis, names: Names) -> Markup:
    left, top = place
    rate = f"{100 * point.rate.value:.1f}% [{100 * point.rate.low:.1f}, {100 * point.rate.high:.1f}]"
    title = f"{names.short[point.name]}: {rate}, {milliseconds(1000 / point.ms)} ms an image"
    span = element("line", class_="val-span", x1=left, x2=left, y1=y.at(point.rate.low), y2=y.at(point.rate.high))
    dot = element(
        "circle", element("title", title), class_="on" if point.on_front else "off", cx=left, cy=top, r=RADIUS
    )
    return element("g", span, dot, class_=f"s{names.colour[point.name]}")
