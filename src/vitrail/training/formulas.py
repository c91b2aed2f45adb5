"""The formulas behind the labelled images: a class is a formula's constants, an instance is one drawing of it.

Three families, which the classes take in turn:

- strokes: one to four lines, arcs and curves, often joined, like the letters of an unknown script;
- contours: nested radial contours, whose radius is a sum of waves or a polygon
  (Kataoka et al., "Replacing Labeled Real-image Datasets with Auto-generated Contours", arXiv:2206.09132);
- fractals: iterated function systems (Kataoka et al., "Pre-training without Natural Images", arXiv:2101.08515),
  their maps drawn by singular values so that nearly all are worth looking at
  (Anderson and Farrell, "Improving Fractal Pre-training", arXiv:2110.03091, section 3).

Everything lives in the square [-1, 1] x [-1, 1]. Strokes and contours are broken lines, fractals are dots.

Letters: P points of a line, or dots; M maps of a function system.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # P x 2: x to the right, y down

STROKE_POINTS = 14  # of one curved stroke; straight lines need two
CONTOUR_POINTS = 40
DOTS_AT_ONCE = 400
DOT_STEPS = 24
DOT_STEPS_UNSEEN = 8  # the first steps still lead to the attractor
STROKE_WOBBLE = 0.09  # how far an instance moves the points that define a stroke (standard deviation)
WAVE_WOBBLE = 0.25  # how far it changes the waves of a contour, as a fraction of their height
MAP_WOBBLE = 0.06  # how far it changes the entries of a fractal's maps


@dataclass(frozen=True, slots=True)
class Shape:
    """What one formula draws: broken lines, or dots."""

    lines: tuple[Points, ...] = ()
    dots: Points | None = None


def strokes(formula: np.random.Generator, instance: np.random.Generator) -> Shape:
    """One to four strokes that together fill the square; each starts anew, or on a point of the one before.

    `formula` gives the constants of the class: it is read first, and equally often for every instance. `instance` gives
    the differences between two drawings of the class.
    """
    lines: list[Points] = []
    for _ in range(int(formula.choice([1, 2, 3, 4], p=[0.15, 0.4, 0.3, 0.15]))):
        kind = int(formula.integers(3))
        line = (_straight, _arc, _curve)[kind](formula, instance)
        joined, place = formula.random() < 0.6, formula.random()
        if lines and joined:
            before = lines[-1]
            line = line + (before[int(place * (len(before) - 1))] - line[0])
        lines.append(line)
    every_P2 = np.concatenate(lines)
    low, high = every_P2.min(axis=0), every_P2.max(axis=0)
    half = np.maximum((high - low) / 2, 0.35 * (high - low).max())  # a straight stroke stays straight
    return Shape(lines=tuple((line - (low + high) / 2) / half for line in lines))


def contours(formula: np.random.Generator, instance: np.random.Generator) -> Shape:
    """One to four closed contours around one centre, each a smaller copy that may be turned."""
    corners = int(formula.integers(3, 8)) if formula.random() < 0.5 else CONTOUR_POINTS
    count, shrink, turn = int(formula.integers(1, 5)), formula.uniform(0.45, 0.8), formula.uniform(-0.6, 0.6)
    wave = np.arange(1, 7)
    height = formula.normal(size=6) * 0.45 / wave**0.7
    phase = formula.uniform(0, 2 * np.pi, size=6)
    height = height * (1 + WAVE_WOBBLE * instance.normal(size=6))
    phase = phase + WAVE_WOBBLE * instance.normal(size=6)
    angle = np.linspace(0, 2 * np.pi, corners + 1)
    radius = np.maximum(0.15, 1 + np.cos(wave * angle[:, None] + phase) @ height)
    radius /= radius.max()
    return Shape(lines=tuple(_circle(angle + turn * step, radius * shrink**step) for step in range(count)))


def fractals(formula: np.random.Generator, instance: np.random.Generator) -> Shape:
    """The attractor of two to four affine maps, as the dots of a random walk over them.

    The dots are scaled so that most lie inside the square.
    """
    matrix_M22, offset_M2 = _contractions(formula, int(formula.integers(2, 5)))
    matrix_M22 = matrix_M22 + MAP_WOBBLE * instance.normal(size=matrix_M22.shape)
    offset_M2 = offset_M2 + MAP_WOBBLE * instance.normal(size=offset_M2.shape)
    area_M = np.abs(np.linalg.det(matrix_M22)) + 0.02
    choice = np.searchsorted(np.cumsum(area_M) / area_M.sum(), instance.random((DOT_STEPS, DOTS_AT_ONCE)))
    dot_P2 = instance.uniform(-1, 1, size=(DOTS_AT_ONCE, 2))
    seen = []
    for step in range(DOT_STEPS):
        dot_P2 = np.einsum("pij,pj->pi", matrix_M22[choice[step]], dot_P2) + offset_M2[choice[step]]
        if step >= DOT_STEPS_UNSEEN:
            seen.append(dot_P2)
    dots = np.concatenate(seen)
    return Shape(dots=(dots - dots.mean(axis=0)) / (2.2 * dots.std(axis=0) + 1e-6))


Family = Callable[[np.random.Generator, np.random.Generator], Shape]

# Class k belongs to the family k modulo the length. Strokes come twice: most of what is drawn by hand is strokes.
FAMILIES: tuple[Family, ...] = (strokes, contours, strokes, fractals)


def _straight(formula: np.random.Generator, instance: np.random.Generator) -> Points:
    angle, length = formula.uniform(0, 2 * np.pi), formula.uniform(0.6, 1.6)
    middle = formula.uniform(-0.5, 0.5, size=2)
    step = 0.5 * length * np.array([np.cos(angle), np.sin(angle)])
    return np.stack([middle - step, middle + step]) + STROKE_WOBBLE * instance.normal(size=(2, 2))


def _arc(formula: np.random.Generator, instance: np.random.Generator) -> Points:
    first = formula.uniform(0, 2 * np.pi) + 2 * STROKE_WOBBLE * instance.normal()
    span = formula.uniform(0.6 * np.pi, 2 * np.pi) * formula.choice([-1, 1]) + 2 * STROKE_WOBBLE * instance.normal()
    middle = formula.uniform(-0.5, 0.5, size=2) + STROKE_WOBBLE * instance.normal(size=2)
    radius = formula.uniform(0.25, 0.8, size=2) * np.exp(STROKE_WOBBLE * instance.normal(size=2))
    return middle + radius * _circle(first + span * np.linspace(0, 1, STROKE_POINTS), np.ones(STROKE_POINTS))


def _curve(formula: np.random.Generator, instance: np.random.Generator) -> Points:
    """A Bezier curve of degree three to five through the square."""
    count = int(formula.integers(4, 7))
    point_P2 = formula.uniform(-1.3, 1.3, size=(count, 2)) + STROKE_WOBBLE * instance.normal(size=(count, 2))
    place = np.linspace(0, 1, STROKE_POINTS)[:, None, None]
    between = np.broadcast_to(point_P2, (STROKE_POINTS, count, 2))
    while between.shape[1] > 1:  # de Casteljau's algorithm, for all places at once
        between = between[:, :-1] * (1 - place) + between[:, 1:] * place
    return between[:, 0]


def _circle(angle: NDArray[np.float64], radius: NDArray[np.float64]) -> Points:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _contractions(formula: np.random.Generator, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Affine maps whose singular values leave an attractor that is neither dust nor a filled square.

    arXiv:2110.03091 finds that those lie where sum(s1 + 2 * s2) is between (5 + M) / 2 and (6 + M) / 2.
    """
    large = formula.uniform(0.5, 0.9, size=count)
    small = large * formula.uniform(0.2, 1.0, size=count)
    wanted = 0.5 * (5 + count + formula.random())
    factor = np.minimum(wanted / (large + 2 * small).sum(), 0.92 / large.max())
    turn_M, flip_M = formula.uniform(0, 2 * np.pi, size=(2, count))
    stretch_M22 = np.zeros((count, 2, 2))
    stretch_M22[:, 0, 0], stretch_M22[:, 1, 1] = factor * large, factor * small * formula.choice([-1, 1], size=count)
    return _rotation(turn_M) @ stretch_M22 @ _rotation(flip_M), formula.uniform(-1, 1, size=(count, 2))


def _rotation(angle_M: NDArray[np.float64]) -> NDArray[np.float64]:
    cos, sin = np.cos(angle_M), np.sin(angle_M)
    return np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)
