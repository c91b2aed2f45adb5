"""Learning curves of the softmax head: loss and accuracy on train and val, epoch by epoch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitrail.delivery.report import words
from vitrail.delivery.report.svg import Axis, drawing, element, fit
from vitrail.search import CurvePoint

WIDTH, HEIGHT = 264.0, 176.0
LEFT, RIGHT, TOP, BOTTOM = 34.0, 36.0, 10.0, 24.0
LEAST_GAP = 12.0  # between the names at the ends of two lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Extremes:
    """What the deck showed of a curve: its least, its greatest and its last figure, and the epochs of the first two."""

    name: str
    least: str
    least_epoch: int
    greatest: str
    greatest_epoch: int
    last: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """The two charts of one backbone and the table under them."""

    loss: Markup
    accuracy: Markup
    extremes: tuple[Extremes, ...]
    epochs: int
    best_epoch: int


def draw_curves(curve: Sequence[CurvePoint], name: str) -> Curves | None:
    """The charts of a curve with one point an epoch; None if no softmax head was trained.

    `name` is the backbone's, for screen readers.
    """
    # A head that diverged ends in losses that are no numbers: there is nothing to draw of them.
    curve = [point for point in curve if math.isfinite(point.train_loss + point.val_loss)]
    if not curve:
        return None
    epoch = [point.epoch for point in curve]
    train_loss, val_loss = [p.train_loss for p in curve], [p.val_loss for p in curve]
    train_accuracy, val_accuracy = [p.train_accuracy for p in curve], [p.val_accuracy for p in curve]
    best = epoch[val_loss.index(min(val_loss))]
    return Curves(
        loss=_chart(epoch, train_loss, val_loss, best, f"Loss of the softmax head on {name}", _plain_tick),
        accuracy=_chart(
            epoch, train_accuracy, val_accuracy, best, f"Accuracy of the softmax head on {name}", _percent_tick
        ),
        extremes=(
            _extremes("train loss", epoch, train_loss, words.figure),
            _extremes("val loss", epoch, val_loss, words.figure),
            _extremes("train accuracy", epoch, train_accuracy, words.percent),
            _extremes("val accuracy", epoch, val_accuracy, words.percent),
        ),
        epochs=len(curve),
        best_epoch=best,
    )


def _chart(
    epoch: list[int],
    train: list[float],
    val: list[float],
    best: int,
    label: str,
    tick_label: Callable[[float], str],
) -> Markup:
    most = 1.0 if tick_label is _percent_tick else float("inf")
    y = fit([*train, *val], start=HEIGHT - BOTTOM, end=TOP, ticks=4, most=most)
    x = Axis(low=epoch[0], high=max(epoch[-1], epoch[0] + 1), step=1, start=LEFT, end=WIDTH - RIGHT)
    best_line = element("line", class_="best", x1=x.at(best), x2=x.at(best), y1=TOP, y2=HEIGHT - BOTTOM)
    ends = _apart(y.at(train[-1]), y.at(val[-1]))
    lines = [
        element("polyline", class_=part, points=_points(epoch, values, x, y))
        + element("circle", class_=f"{part}-end", cx=x.at(epoch[-1]), cy=y.at(values[-1]), r=2.6)
        + element("text", part, class_=f"{part}-name", x=x.at(epoch[-1]) + 7, y=end + 3.5)
        for part, values, end in (("train", train, ends[0]), ("val", val, ends[1]))
    ]
    return drawing(
        *_grid(y, tick_label), *_epochs(epoch, x), best_line, *lines,
        width=WIDTH, height=HEIGHT, class_="chart", label=f"{label}, train and val by epoch",
    )  # fmt: skip


def _grid(y: Axis, tick_label: Callable[[float], str]) -> list[Markup]:
    return [
        element("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y.at(tick), y2=y.at(tick))
        + element("text", tick_label(tick), x=LEFT - 6, y=y.at(tick) + 3.5, text_anchor="end")
        for tick in y.ticks()
    ]


def _epochs(epoch: list[int], x: Axis) -> list[Markup]:
    shown = sorted({epoch[0], epoch[len(epoch) // 2], epoch[-1]})
    base = HEIGHT - BOTTOM
    return [
        element("text", f"epoch {at}" if at == epoch[0] else str(at), x=x.at(at), y=base + 16, text_anchor=anchor)
        for at, anchor in zip(shown, ("start", "middle", "middle"), strict=False)
    ]


def _points(epoch: list[int], values: list[float], x: Axis, y: Axis) -> str:
    return " ".join(f"{x.at(at):.1f},{y.at(value):.1f}" for at, value in zip(epoch, values, strict=True))


def _apart(first: float, second: float) -> tuple[float, float]:
    """Two heights for text, moved apart where their lines would run into each other."""
    lack = max(0.0, LEAST_GAP - abs(first - second)) / 2
    return (first - lack, second + lack) if first <= second else (first + lack, second - lack)


def _extremes(name: str, epoch: list[int], values: list[float], show: Callable[[float], str]) -> Extremes:
    least, greatest = min(values), max(values)
    return Extremes(
        name=name,
        least=show(least),
        least_epoch=epoch[values.index(least)],
        greatest=show(greatest),
        greatest_epoch=epoch[values.index(greatest)],
        last=show(values[-1]),
    )


def _plain_tick(value: float) -> str:
    return f"{value:.3g}"


def _percent_tick(value: float) -> str:
    return f"{100 * value:.3g}%"
