"""The confusion picture: a heat map of what was answered for what, and the worst pairs in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from scipy.cluster import hierarchy

from vitrail.delivery.report.svg import drawing, element
from vitrail.heads.head import Predictions

# Letters: C classes.

MOST_CLASSES = 150  # more cannot be told apart in a picture
FEW_CLASSES = 20  # these keep their order and have numbers in their cells
WORST_PAIRS = 24
SHADES = 6
PICTURE = 1080.0  # the largest side of the map, without its names
LARGEST_CELL = 40.0
LETTER = 0.56  # mean width of a letter, in font sizes
LONGEST_NAME = 26


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixup:
    """One class taken for another, `times` out of `n` test images of it."""

    label: str
    answer: str
    times: int
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """The picture, and the worst mix-ups. `shown` classes are in the picture, `reordered` says in which order."""

    picture: Markup
    worst: tuple[Mixup, ...]
    mixups: int
    shown: int
    reordered: bool


def draw_confusion(predictions: Predictions, classes: Sequence[str]) -> Confusion:
    """The confusion of one backbone: a picture of all classes, or of the most confused, and the worst mix-ups."""
    table_CC = _count(predictions, len(classes))
    wrong_CC = table_CC - np.diag(np.diag(table_CC))
    kept = _most_confused(wrong_CC)
    reordered = len(classes) > FEW_CLASSES
    order = kept[_neighbours(table_CC[np.ix_(kept, kept)])] if reordered else kept
    return Confusion(
        picture=_draw(table_CC[np.ix_(order, order)], table_CC[order].sum(axis=1), [classes[i] for i in order]),
        worst=_worst(wrong_CC, table_CC.sum(axis=1), classes),
        mixups=int((wrong_CC > 0).sum()),
        shown=len(order),
        reordered=reordered,
    )


def _count(predictions: Predictions, classes: int) -> NDArray[np.int64]:
    """Test images by label (rows) and answer (columns)."""
    answer_N = predictions.probability_NC.argmax(axis=1)
    cell_N = predictions.label_N * classes + answer_N
    return np.bincount(cell_N, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def _most_confused(wrong_CC: NDArray[np.int64]) -> NDArray[np.int64]:
    errors_C = wrong_CC.sum(axis=0) + wrong_CC.sum(axis=1)
    return np.sort(np.argsort(-errors_C, kind="stable")[:MOST_CLASSES]).astype(np.int64)


def _neighbours(table_CC: NDArray[np.int64]) -> NDArray[np.int64]:
    """An order in which classes that are taken for one another stand side by side."""
    rate_CC = table_CC / np.maximum(1, table_CC.sum(axis=1, keepdims=True))
    close_CC = rate_CC + rate_CC.T
    np.fill_diagonal(close_CC, 0.0)
    distance_CC = 1 - close_CC / max(1e-9, close_CC.max())
    upper = distance_CC[np.triu_indices(len(distance_CC), k=1)]
    tree = hierarchy.linkage(upper, method="average", optimal_ordering=True)
    return np.asarray(hierarchy.leaves_list(tree), dtype=np.int64)


def _worst(wrong_CC: NDArray[np.int64], n_C: NDArray[np.int64], classes: Sequence[str]) -> tuple[Mixup, ...]:
    rows, columns = np.nonzero(wrong_CC)
    mixups = [
        Mixup(label=classes[i], answer=classes[j], times=int(wrong_CC[i, j]), n=int(n_C[i]))
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    return tuple(sorted(mixups, key=lambda mixup: (-mixup.times, mixup.n, mixup.label, mixup.answer))[:WORST_PAIRS])


def _draw(table_CC: NDArray[np.int64], n_C: NDArray[np.int64], names: Sequence[str]) -> Markup:
    side = len(names)
    cell = min(LARGEST_CELL, PICTURE / side)
    font = min(12.0, 0.88 * cell)
    margin = 8 + font * LETTER * min(LONGEST_NAME, max(len(name) for name in names))
    cells = _cells(table_CC, n_C, names, numbers=side <= FEW_CLASSES)
    place = f"translate({margin:.1f} {margin:.1f}) scale({cell:.4g})"
    frame = element("rect", class_="frame", x=0, y=0, width=side, height=side)
    size = margin + side * cell + 1
    return drawing(
        element("g", frame, *_guides(side), *cells, transform=place, class_="few" if side <= FEW_CLASSES else "many"),
        element("g", *_names(names, margin, cell), font_size=font),
        width=size,
        height=size,
        class_="heat",
        label=f"Heat map of {side} classes: rows are labels, columns are answers",
    )


def _cells(table_CC: NDArray[np.int64], n_C: NDArray[np.int64], names: Sequence[str], *, numbers: bool) -> list[Markup]:
    drawn = []
    for i, j in zip(*(axis.tolist() for axis in np.nonzero(table_CC)), strict=True):
        times, n = int(table_CC[i, j]), int(n_C[i])
        shade = min(SHADES, 1 + int(SHADES * times / n))
        title = (
            f"{names[i]}: {times} of {n} recognised" if i == j else f"{names[i]} taken for {names[j]}: {times} of {n}"
        )
        class_ = f"{'right' if i == j else 'wrong'} f{shade}"
        drawn.append(element("path", element("title", title), class_=class_, d=f"M{j} {i}h1v1h-1z"))
        if numbers:
            dark = " on-dark" if shade > SHADES / 2 else ""
            text = element("text", str(times), x=j + 0.5, y=i + 0.62, class_=f"times{dark}", text_anchor="middle")
            drawn.append(text)
    return drawn


def _guides(side: int) -> list[Markup]:
    """Hairlines every ten classes, by which the eye finds its way in a large map."""
    return [element("path", class_="guide", d=f"M{at} 0V{side}M0 {at}H{side}") for at in range(10, side, 10)]


def _names(names: Sequence[str], margin: float, cell: float) -> list[Markup]:
    drawn = []
    for k, name in enumerate(names):
        short = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
        middle = margin + (k + 0.5) * cell
        above = f"translate({middle:.1f} {margin - 5:.1f}) rotate(-90)"
        drawn.append(element("text", short, x=margin - 5, y=middle, class_="row-name"))
        drawn.append(element("text", short, class_="column-name", transform=above))
    return drawn
