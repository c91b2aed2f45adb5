"""What images are worth: accuracy on held-out images against images a class, from one shot to all there are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitrail.delivery.report import words
from vitrail.delivery.report.svg import Axis, drawing, element, fit
from vitrail.search import FewShot, LabelCurve, LabelPoint

WIDTH, HEIGHT = 460.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 16.0, 10.0, 30.0
LEAST_APART, LAST_APART = 30.0, 66.0  # between two figures on the axis, and before the last, which has words


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


def draw_label_curves(shots: Sequence[FewShot], curves: Sequence[LabelCurve], name: str) -> LabelCharts | None:
    """The chart of few shots and of the curve over all classes, which is the first of `curves`.

    `name` is the backbone's, for screen readers. None if there were too few images for either.
    """
    whole = curves[0].points if curves else ()
    if not shots and not whole:
        return None
    return LabelCharts(
        chart=_chart(shots, whole, name),
        shots=tuple(shots),
        whole=whole,
        sentences=tuple(curve.sentence for curve in curves),
        hardest=curves[1].classes if len(curves) > 1 else (),
    )


def _chart(shots: Sequence[FewShot], whole: Sequence[LabelPoint], name: str) -> Markup:
    few = [_Point(images=point.shots, value=point.mean, limits=(point.low, point.high)) for point in shots]
    full = [_Point(images=point.images_per_class, value=point.accuracy, limits=_limits(point)) for point in whole]
    ends = [end for point in (*few, *full) for end in point.limits or (point.value,)]
    y = fit(ends, start=HEIGHT - BOTTOM, end=TOP, ticks=4, most=1.0)
    images = [point.images for point in (*few, *full)]
    x = Axis(low=math.log2(min(images)), high=math.log2(2 * max(images)), step=1, start=LEFT + 8, end=WIDTH - RIGHT)
    return drawing(
        *_grid(y), *_images(sorted(set(images)), x), *_line(few, "shots", x, y), *_line(full, "val", x, y),
        width=WIDTH, height=HEIGHT, class_="chart wide",
        label=f"Accuracy on held-out images of {name} by images a class",
    )  # fmt: skip


def _limits(point: LabelPoint) -> tuple[float, float] | None:
    return None if point.low is None or point.high is None else (point.low, point.high)


def _grid(y: Axis) -> list[Markup]:
    return [
        element("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y.at(tick), y2=y.at(tick))
        + element("text", f"{100 * tick:.3g}%", x=LEFT - 6, y=y.at(tick) + 3.5, text_anchor="end")
        for tick in y.ticks()
    ]


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
