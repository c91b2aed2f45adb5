"""Learning curves of the softmax head, epoch by epoch: loss and accuracy on train and on val or a held-out fold.

The charts of all backbones have the same axes, so that they can be compared by eye.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitrail.delivery.report import words
from vitrail.delivery.report.svg import Axis, draw_grid, drawing, element, fit, say_percent
from vitrail.runs import Results
from vitrail.search import CurvePoint

WIDTH, HEIGHT = 264.0, 176.0
LEFT, RIGHT, TOP, BOTTOM = 42.0, 36.0, 10.0, 24.0
LEAST_GAP = 12.0  # between the names at the ends of two lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Extremes:
    """What the deck showed of a curve: its least, its greatest and its last figure, and the epochs of the first two.

    `figures` are those of all epochs.
    """

    name: str
    figures: tuple[float, ...]
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


@dataclass(frozen=True, slots=True)
class _Axes:
    """The axes that the charts of all backbones share."""

    epoch: Axis
    loss: Axis
    accuracy: Axis


def draw_curves(curves: Mapping[str, Sequence[CurvePoint]], held_out: str) -> dict[str, Curves]:
    """The charts of each backbone, by its name; backbones without a trained softmax head are left out.

    `held_out` is what the heads were judged on after each epoch, in one word: "val" or "fold".
    """
    finite = {name: _keep_finite(curve) for name, curve in curves.items()}
    drawn = {name: curve for name, curve in finite.items() if curve}
    if not drawn:
        return {}
    axes = _share_axes([point for curve in drawn.values() for point in curve])
    return {name: _draw(curve, name, held_out, axes) for name, curve in drawn.items()}


def name_held_out(results: Results) -> str:
    """What heads were judged on after each epoch: val, or a fold of train if the split has no val."""
    return "val" if sum(results.data.counts.get("val", {}).values()) else "fold"


def list_extremes(curve: Sequence[CurvePoint], held_out: str) -> tuple[Extremes, ...]:
    """Loss on train and on what was held out, then accuracy on both; nothing if there is no epoch to show."""
    points = _keep_finite(curve)
    if not points:
        return ()
    epoch = [point.epoch for point in points]
    return (
        _extremes("train loss", epoch, [p.train_loss for p in points], words.figure),
        _extremes(f"{held_out} loss", epoch, [p.val_loss for p in points], words.figure),
        _extremes("train accuracy", epoch, [p.train_accuracy for p in points], words.percent),
        _extremes(f"{held_out} accuracy", epoch, [p.val_accuracy for p in points], words.percent),
    )


def _keep_finite(curve: Sequence[CurvePoint]) -> list[CurvePoint]:
    """The epochs whose losses are numbers: a head that diverged ends in others, which cannot be drawn."""
    return [point for point in curve if math.isfinite(point.train_loss + point.val_loss)]


def _share_axes(points: Sequence[CurvePoint]) -> _Axes:
    epochs = [point.epoch for point in points]
    first, last = min(epochs), max(epochs)

    def fit_y(figures: Iterable[float], most: float) -> Axis:
        return fit(figures, start=HEIGHT - BOTTOM, end=TOP, ticks=4, most=most)

    return _Axes(
        epoch=Axis(low=first, high=max(last, first + 1), step=1, start=LEFT, end=WIDTH - RIGHT),
        loss=fit_y((figure for p in points for figure in (p.train_loss, p.val_loss)), math.inf),
        accuracy=fit_y((figure for p in points for figure in (p.train_accuracy, p.val_accuracy)), 1.0),
    )


def _draw(curve: Sequence[CurvePoint], name: str, held_out: str, axes: _Axes) -> Curves:
    epoch = [point.epoch for point in curve]
    train_loss, val_loss = [p.train_loss for p in curve], [p.val_loss for p in curve]
    train_accuracy, val_accuracy = [p.train_accuracy for p in curve], [p.val_accuracy for p in curve]
    best = epoch[val_loss.index(min(val_loss))]
    frame = _Frame(epoch=epoch, best=best, held_out=held_out, x=axes.epoch)
    loss_label = f"Loss of the softmax head on {name}, train and {held_out} by epoch"
    accuracy_label = f"Accuracy of the softmax head on {name}, train and {held_out} by epoch"
    return Curves(
        loss=_chart(frame, train_loss, val_loss, axes.loss, _plain_tick, loss_label),
        accuracy=_chart(frame, train_accuracy, val_accuracy, axes.accuracy, say_percent, accuracy_label),
        extremes=list_extremes(curve, held_out),
        epochs=len(curve),
        best_epoch=best,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    """What both charts of a backbone share; `best` is the epoch with the least loss on what was held out."""

    epoch: list[int]
    best: int
    held_out: str
    x: Axis


def _chart(
    frame: _Frame, train: list[float], val: list[float], y: Axis, tick_label: Callable[[float], str], label: str
) -> Markup:
    x, last = frame.x, frame.epoch[-1]
    best_line = element("line", class_="best", x1=x.at(frame.best), x2=x.at(frame.best), y1=TOP, y2=HEIGHT - BOTTOM)
    ends = _apart(y.at(train[-1]), y.at(val[-1]))
    lines = [
        element("polyline", class_=part, points=_points(frame.epoch, values, x, y))
        + element("circle", class_=f"{part}-end", cx=x.at(last), cy=y.at(values[-1]), r=2.6)
        + element("text", text, class_=f"{part}-name", x=x.at(last) + 7, y=end + 3.5)
        for part, text, values, end in (("train", "train", train, ends[0]), ("val", frame.held_out, val, ends[1]))
    ]
    return drawing(
        *draw_grid(y, LEFT, WIDTH - RIGHT, tick_label), *_epochs(x), best_line, *lines,
        width=WIDTH, height=HEIGHT, class_="chart", label=label,
    )  # fmt: skip


def _epochs(x: Axis) -> list[Markup]:
    first, last = round(x.low), round(x.high)
    shown = sorted({first, (first + last) // 2, last})
    return [
        element("text", f"epoch {at}" if at == first else str(at), x=x.at(at), y=HEIGHT - BOTTOM + 16,
                text_anchor="start" if at == first else "middle")
        for at in shown
    ]  # fmt: skip


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
        figures=tuple(values),
        least=show(least),
        least_epoch=epoch[values.index(least)],
        greatest=show(greatest),
        greatest_epoch=epoch[values.index(greatest)],
        last=show(values[-1]),
    )


def _plain_tick(value: float) -> str:
    return f"{value:.3g}"
