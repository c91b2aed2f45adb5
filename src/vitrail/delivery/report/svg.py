"""The little SVG that the report draws: escaped elements, axes, and marks for intervals."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

from vitrail.statistics.intervals import Interval

STEPS = (1, 2, 2.5, 5, 10)


def element(tag: str, *children: str | Markup, **attributes: str | float) -> Markup:
    """One element; children that are text, and all attributes, are escaped.

    The attribute `class_` is class; another underscore is a dash.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _short(value))
        for name, value in attributes.items()
    )
    inside = Markup("").join(escape(child) for child in children)
    if not inside:
        return Markup("<{0}{1}/>").format(tag, written)
    return Markup("<{0}{1}>{2}</{0}>").format(tag, written, inside)


def drawing(*children: Markup, width: float, height: float, class_: str, label: str | None = None) -> Markup:
    """An SVG that scales with its box; `label` is for screen readers, None if the text beside it says the same."""
    size: dict[str, str | float] = {
        "viewBox": f"0 0 {_short(width)} {_short(height)}",
        "width": width,
        "height": height,
        "class_": class_,
    }
    if label is None:
        return element("svg", *children, **size, aria_hidden="true")
    return element("svg", element("title", label), *children, **size, role="img", aria_label=label)


@dataclass(frozen=True, slots=True)
class Axis:
    """Figures from `low` to `high`, drawn from `start` to `end`; `step` is between ticks."""

    low: float
    high: float
    step: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a figure is drawn; what lies outside is drawn at the end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """The round figures on it, both ends included where they are round."""
        first = math.ceil(self.low / self.step - 1e-9)
        last = math.floor(self.high / self.step + 1e-9)
        return [k * self.step for k in range(first, last + 1)]


def fit(
    figures: Iterable[float],
    *,
    start: float,
    end: float,
    ticks: int,
    snug: bool = False,
    most: float = math.inf,
) -> Axis:
    """An axis that holds all figures.

    Args:
        figures: at least one.
        start: where its low end is drawn.
        end: where its high end is drawn.
        ticks: about how many steps it has.
        snug: whether it ends where the figures end, and not at the round figure beyond.
        most: a round axis never ends above.
    """
    known = [value for value in figures if math.isfinite(value)] or [0.0]
    low, high = min(known), max(known)
    if high - low < 1e-9:
        low, high = low - 0.01, high + 0.01
    rough = (high - low) / ticks
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(multiple * size for multiple in STEPS if multiple * size >= rough * (1 - 1e-9))
    if not snug:
        low, high = math.floor(low / step + 1e-9) * step, min(most, math.ceil(high / step - 1e-9) * step)
    return Axis(low=low, high=max(high, low + step / 10), step=step, start=start, end=end)


def draw_grid(y: Axis, left: float, right: float, tick_label: Callable[[float], str]) -> list[Markup]:
    """A line across the drawing at each tick of the upright axis, and its label on the left."""
    return [
        element("line", class_="grid", x1=left, x2=right, y1=y.at(tick), y2=y.at(tick))
        + element("text", tick_label(tick), x=left - 6, y=y.at(tick) + 3.5, text_anchor="end")
        for tick in y.ticks()
    ]


def say_percent(rate: float) -> str:
    """A rate as the label of a tick."""
    return f"{100 * rate:.3g}%"


def interval_mark(interval: Interval, axis: Axis, y: float) -> Markup:
    """A line from low to high and a dot at the value."""
    return element("line", class_="span", x1=axis.at(interval.low), x2=axis.at(interval.high), y1=y, y2=y) + element(
        "circle", class_="dot", cx=axis.at(interval.value), cy=y, r=3.2
    )


def _short(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
