"""Accuracy class by class, the worst first, each with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitrail.delivery.report.svg import Axis, drawing, element, interval_mark
from vitrail.evaluation import ClassMetrics

WIDTH, HEIGHT = 96.0, 14.0
FEW_IMAGES = 10
MOST_CLASSES = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassRow:
    """One class; `hits` of its test images were recognised, `mark` is None if it has no test image."""

    metrics: ClassMetrics
    hits: int
    mark: Markup | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassList:
    """The classes, worst first; `left_out` of the best are not listed, `few` have hardly any test image."""

    rows: tuple[ClassRow, ...]
    left_out: int
    few: int


def list_classes(per_class: Sequence[ClassMetrics]) -> ClassList:
    """The classes sorted by accuracy, then by name; classes without test images last."""
    order = sorted(per_class, key=lambda class_: (class_.recall.value if class_.recall else 2.0, class_.name))
    axis = Axis(low=0.0, high=1.0, step=0.5, start=4.0, end=WIDTH - 4.0)
    rows = tuple(
        ClassRow(
            metrics=class_,
            hits=round(class_.recall.value * class_.n) if class_.recall else 0,
            mark=_mark(class_, axis),
        )
        for class_ in order[:MOST_CLASSES]
    )
    return ClassList(
        rows=rows,
        left_out=max(0, len(order) - MOST_CLASSES),
        few=sum(class_.n < FEW_IMAGES for class_ in per_class),
    )


def _mark(metrics: ClassMetrics, axis: Axis) -> Markup | None:
    if metrics.recall is None:
        return None
    ground = element("line", class_="ground", x1=axis.start, x2=axis.end, y1=HEIGHT / 2, y2=HEIGHT / 2)
    return drawing(ground, interval_mark(metrics.recall, axis, HEIGHT / 2), width=WIDTH, height=HEIGHT, class_="mark")
