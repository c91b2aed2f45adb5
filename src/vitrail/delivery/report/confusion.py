"""The confusion picture: a heat map of what was answered for what, and the worst pairs in words.

Names and numbers in the map are large enough to read, so of many classes it shows those that are mixed up most, and one
column for the answers that are none of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from scipy.cluster import hierarchy

from vitrail.delivery.report.svg import drawing, element
from vitrail.heads.head import Predictions

# Letters: C classes.

MOST_CLASSES = 30  # more names do not fit beside one another in a size that can be read
FEW_CLASSES = 20  # these keep their order
WORST_PAIRS = 24
SHADES = 6
FEW_CELL, MANY_CELL = 40.0, 30.0
FONT = 12.0
LETTER = 0.56  # mean width of a letter, in font sizes
LONGEST_NAME = 26
GAP = 0.4  # cells between the classes and the column of other answers


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixup:
    """One class taken for another, `times` out of `n` test images of it."""

    label: str
    answer: str
    times: int
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """The picture, and the worst mix-ups.

    `shown` classes are in the picture; where they are not all, its last column counts the answers of other classes.
    `reordered` says that classes that are mixed up are side by side.
    """

    picture: Markup
    worst: tuple[Mixup, ...]
    mixups: int
    shown: int
    reordered: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Map:
    """What the picture shows. `other_C` counts the answers outside it, and is None if all classes are in it."""

    table_CC: NDArray[np.int64]
    n_C: NDArray[np.int64]
    other_C: NDArray[np.int64] | None
    names: Sequence[str]

    @property
    def columns(self) -> float:
        """The width in cells."""
        return len(self.names) + (0 if self.other_C is None else 1 + GAP)

    @property
    def cell(self) -> float:
        """The side of a cell in pixels: the greatest number fits."""
        least = FEW_CELL if len(self.names) <= FEW_CLASSES else MANY_CELL
        return max(least, 6 + FONT * LETTER * len(str(self.n_C.max())))


def draw_confusion(predictions: Predictions, classes: Sequence[str]) -> Confusion:
    """The confusion of one backbone: a picture of all classes, or of the most confused, and the worst mix-ups."""
    table_CC = _count(predictions, len(classes))
    wrong_CC = table_CC - np.diag(np.diag(table_CC))
    n_C = table_CC.sum(axis=1)
    worst = _sort_mixups(wrong_CC, n_C, classes)
    kept = _most_confused(wrong_CC, worst) if len(classes) > MOST_CLASSES else np.arange(len(classes))
    reordered = len(classes) > FEW_CLASSES
    order = kept[_neighbours(table_CC[np.ix_(kept, kept)])] if reordered else kept
    shown_CC = table_CC[np.ix_(order, order)]
    other_C = n_C[order] - shown_CC.sum(axis=1) if len(order) < len(classes) else None
    return Confusion(
        picture=_draw(_Map(table_CC=shown_CC, n_C=n_C[order], other_C=other_C, names=[classes[i] for i in order])),
        worst=tuple(
            Mixup(label=classes[i], answer=classes[j], times=int(wrong_CC[i, j]), n=int(n_C[i]))
            for i, j in worst[:WORST_PAIRS]
        ),
        mixups=len(worst),
        shown=len(order),
        reordered=reordered,
    )


def _count(predictions: Predictions, classes: int) -> NDArray[np.int64]:
    """Test images by label (rows) and answer (columns)."""
    answer_N = predictions.probability_NC.argmax(axis=1)
    cell_N = predictions.label_N * classes + answer_N
    return np.bincount(cell_N, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def _sort_mixups(wrong_CC: NDArray[np.int64], n_C: NDArray[np.int64], classes: Sequence[str]) -> list[tuple[int, int]]:
    """Label and answer of every mix-up, the most frequent first."""
    pairs = zip(*(axis.tolist() for axis in np.nonzero(wrong_CC)), strict=True)
    return sorted(pairs, key=lambda pair: (-wrong_CC[pair], n_C[pair[0]], classes[pair[0]], classes[pair[1]]))


def _most_confused(wrong_CC: NDArray[np.int64], worst: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """The classes of the worst mix-ups, both of each; then those with the most errors."""
    errors_C = wrong_CC.sum(axis=0) + wrong_CC.sum(axis=1)
    order = dict.fromkeys([class_ for pair in worst for class_ in pair] + np.argsort(-errors_C, kind="stable").tolist())
    return np.sort(np.array(list(order)[:MOST_CLASSES], dtype=np.int64))


def _neighbours(table_CC: NDArray[np.int64]) -> NDArray[np.int64]:
    """An order in which classes that are taken for one another stand side by side."""
    rate_CC = table_CC / np.maximum(1, table_CC.sum(axis=1, keepdims=True))
    close_CC = rate_CC + rate_CC.T
    np.fill_diagonal(close_CC, 0.0)
    distance_CC = 1 - close_CC / max(1e-9, close_CC.max())
    upper = distance_CC[np.triu_indices(len(distance_CC), k=1)]
    tree = hierarchy.linkage(upper, method="average", optimal_ordering=True)
    return np.asarray(hierarchy.leaves_list(tree), dtype=np.int64)


def _draw(map_: _Map) -> Markup:
    side, cell = len(map_.names), map_.cell
    margin = 8 + FONT * LETTER * min(LONGEST_NAME, max(len(name) for name in map_.names))
    place = f"translate({margin:.1f} {margin:.1f}) scale({cell:.4g})"
    frame = element("rect", class_="frame", x=0, y=0, width=side, height=side)
    return drawing(
        element("g", frame, *_cells(map_), *_other_answers(map_), transform=place, class_="cells"),
        element("g", *_names(map_.names, margin, cell), *_other_name(map_, margin), font_size=FONT),
        width=margin + map_.columns * cell + 1,
        height=margin + side * cell + 1,
        class_="heat",
        label=f"Heat map of {side} classes: rows are labels, columns are answers",
    )


def _cells(map_: _Map) -> list[Markup]:
    drawn = []
    names = map_.names
    for i, j in zip(*(axis.tolist() for axis in np.nonzero(map_.table_CC)), strict=True):
        times, n = int(map_.table_CC[i, j]), int(map_.n_C[i])
        title = (
            f"{names[i]}: {times} of {n} recognised" if i == j else f"{names[i]} taken for {names[j]}: {times} of {n}"
        )
        drawn += _cell(times, n, title, at=(j, i), kind="right" if i == j else "wrong", size=FONT / map_.cell)
    return drawn


def _other_answers(map_: _Map) -> list[Markup]:
    """The column of answers that are none of the classes shown."""
    if map_.other_C is None:
        return []
    side = len(map_.names)
    drawn = [element("rect", class_="frame", x=side + GAP, y=0, width=1, height=side)]
    for i, (times, n) in enumerate(zip(map_.other_C.tolist(), map_.n_C.tolist(), strict=True)):
        if times:
            title = f"{map_.names[i]} taken for a class that is not shown: {times} of {n}"
            drawn += _cell(times, n, title, at=(side + GAP, i), kind="wrong", size=FONT / map_.cell)
    return drawn


def _cell(times: int, n: int, title: str, *, at: tuple[float, float], kind: str, size: float) -> list[Markup]:
    """A square, the deeper the greater its share of the row, and its number; `size` is the font's, in cells."""
    shade = min(SHADES, 1 + int(SHADES * times / n))
    x, y = at
    path = element("path", element("title", title), class_=f"{kind} f{shade}", d=f"M{x:g} {y:g}h1v1h-1z")
    text = element(
        "text", str(times), x=x + 0.5, y=y + 0.5 + 0.36 * size, class_=f"times n{shade}", text_anchor="middle",
        font_size=size,
    )  # fmt: skip
    return [path, text]


def _names(names: Sequence[str], margin: float, cell: float) -> list[Markup]:
    drawn = []
    for k, name in enumerate(names):
        short = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
        middle = margin + (k + 0.5) * cell
        drawn.append(element("text", short, x=margin - 5, y=middle, class_="row-name"))
        drawn.append(_column_name(short, middle, margin))
    return drawn


def _other_name(map_: _Map, margin: float) -> list[Markup]:
    if map_.other_C is None:
        return []
    return [_column_name("other", margin + (len(map_.names) + GAP + 0.5) * map_.cell, margin)]


def _column_name(text: str, middle: float, margin: float) -> Markup:
    above = f"translate({middle:.1f} {margin - 5:.1f}) rotate(-90)"
    return element("text", text, class_="column-name", transform=above)
