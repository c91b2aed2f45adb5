"""What images are worth: accuracy on held-out images against images a class, from one shot to all there are.

The charts of all backbones have the same axes, so that they can be compared by eye.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitrail.delivery.report import words
from vitrail.delivery.report.svg import Axis, draw_grid, drawing, element, fit, say_percent
from vitrail.search import FewShot, LabelCurve, LabelPoint

WIDTH, HEIGHT = 460.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 16.0, 10.0, 30.0
LEAST_APART, LAST_APART = 30.0, 76.0  # between two figures on the axis, and before the last, which has words


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelCharts:
    """The chart of one backbone, a row for each number of shots, and what more labels would be worth, in words."""

    chart: Markup
    shots: tuple[FewShot, ...]
    whole: tuple[LabelPoint, ...]
    sentences: tuple[str, ...]
    hardest: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Point:
    """One point of the chart; `limits` are None if it has no interval."""

    images: float
    value: float
    limits: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class _Lines:
    """The two lines of one backbone: a few images a class, and the curve up to all of them."""

    few: tuple[_Point, ...]
    full: tuple[_Point, ...]


def draw_label_curves(
    figures: Mapping[str, tuple[Sequence[FewShot], Sequence[LabelCurve]]],
) -> dict[str, LabelCharts]:
    """The charts by the name of the backbone; those with too few images for either line are left out.

    `figures` has the few shots and the label curves of each backbone; the first curve is over all classes.
    """
    lines = {name: _lines(shots, curves) for name, (shots, curves) in figures.items()}
    drawn = {name: line for name, line in lines.items() if line.few or line.full}
    if not drawn:
        return {}
    x, y = _share_axes([point for line in drawn.values() for point in (*line.few, *line.full)])
    charts = {}
    for name, line in drawn.items():
        shots, curves = figures[name]
        charts[name] = LabelCharts(
            chart=_chart(line, x, y, name),
            shots=tuple(shots),
            whole=curves[0].points if curves else (),
            sentences=tuple(curve.sentence for curve in curves),
            hardest=curves[1].classes if len(curves) > 1 else (),
        )
    return charts


def _lines(shots: Sequence[FewShot], curves: Sequence[LabelCurve]) -> _Lines:
    whole = curves[0].points if curves else ()
    return _Lines(
        few=tuple(_Point(images=point.shots, value=point.mean, limits=(point.low, point.high)) for point in shots),
        full=tuple(
            _Point(images=point.images_per_class, value=point.accuracy, limits=_limits(point)) for point in whole
        ),
    )


def _share_axes(points: Sequence[_Point]) -> tuple[Axis, Axis]:
    ends = [end for point in points for end in point.limits or (point.value,)]
    images = [point.images for point in points]
    x = Axis(low=math.log2(min(images)), high=math.log2(2 * max(images)), step=1, start=LEFT + 8, end=WIDTH - RIGHT)
    return x, fit(ends, start=HEIGHT - BOTTOM, end=TOP, ticks=4, most=1.0)


def _chart(line: _Lines, x: Axis, y: Axis, name: str) -> Markup:
    images = sorted({point.images for point in (*line.few, *line.full)})
    return drawing(
        *draw_grid(y, LEFT, WIDTH - RIGHT, say_percent), *_images(images, x),
        *_line(line.few, "shots", x, y), *_line(line.full, "val", x, y),
        width=WIDTH, height=HEIGHT, class_="chart wide",
        label=f"Accuracy on held-out images of {name} by images a class",
    )  # fmt: skip


def _limits(point: LabelPoint) -> tuple[float, float] | None:
    return None if point.low is None or point.high is None else (point.low, point.high)


def _images(images: Sequence[float], x: Axis) -> list[Markup]:
    """The numbers of images under the axis, the greatest always and no two in each other's way."""
    shown: list[float] = []
    for n in reversed(images):
        apart = LAST_APART if len(shown) == 1 else LEAST_APART
        if not shown or x.at(math.log2(shown[-1])) - x.at(math.log2(n)) >= apart:
            shown.append(n)
    texts = [(n, f"{n:.3g} images a class" if n == shown[0] else f"{n:.3g}") for n in shown]
    return [
        element("text", text, x=x.at(math.log2(n)), y=HEIGHT - BOTTOM + 16, text_anchor="middle") for n, text in texts
    ]


def _line(points: Sequence[_Point], part: str, x: Axis, y: Axis) -> list[Markup]:
    if not points:
        return []
    at = [(x.at(math.log2(point.images)), y.at(point.value)) for point in points]
    spans = [
        element("line", class_=f"{part}-span", x1=place, x2=place, y1=y.at(point.limits[0]), y2=y.at(point.limits[1]))
        for point, (place, _) in zip(points, at, strict=True)
        if point.limits
    ]
    line = element("polyline", class_=part, points=" ".join(f"{place:.1f},{height:.1f}" for place, height in at))
    dots = [
        element("circle", element("title", _said(point)), class_=f"{part}-end", cx=place, cy=height, r=3.0)
        for point, (place, height) in zip(points, at, strict=True)
    ]
    return [*spans, line, *dots]


def _said(point: _Point) -> str:
    title = f"{point.images:.3g} images a class: {words.percent(point.value)}"
    return f"{title} [{100 * point.limits[0]:.1f}, {100 * point.limits[1]:.1f}]" if point.limits else title
