"""Labelled images that a formula draws, so that a backbone can be pretrained with no download and no licence.

An image is a pure function of (class, instance, seed, size): no state, no file, no global generator. The class is a
formula of `formulas.py`; the instance is how it is drawn this time: where, how large, how turned and slanted, with how
thick and how soft a pen, in which colours, with how much noise. A backbone that tells the classes apart has learnt to
see form and to look past all of that.

The same numpy on the same processor family gives the same bytes.

Letters: H rows, W columns; P points; S segments of broken lines.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.core.progress import Progress, running
from vitrail.training.formulas import FAMILIES, Points

MAX_TURN = np.radians(20)  # more would make a 6 of a 9
MIN_CONTRAST = 0.3  # between ink and paper, in the mean over the three colours, as a fraction of full scale
TASK = "drawing"


@dataclass(frozen=True, slots=True)
class Drawn:
    """Images, uint8 N x H x W x 3, with their class, int64 N."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def draw(label: int, instance: int, *, seed: int = 0, size: int = 32) -> NDArray[np.uint8]:
    """One RGB image, size x size x 3.

    Every `label` from 0 is a separate class, and `instance`, from 0, is the number of the drawing of that class.
    Another seed gives other classes; another size shows the same form in the same pose.
    """
    formula = np.random.default_rng((seed, label))
    pen = np.random.default_rng((seed, label, instance + 1))
    shape = FAMILIES[label % len(FAMILIES)](formula, pen)
    place = _Pose(pen)
    thickness, softness = np.exp(pen.uniform(np.log([0.07, 0.03]), np.log([0.35, 0.16])))
    if shape.dots is None:
        ink_HW = _ink_of_lines([place(line) for line in shape.lines], size, thickness)
    else:
        ink_HW = _ink_of_dots(place(shape.dots), size)
    return _colour(_blur(ink_HW, softness), pen)


def draw_set(classes: int, instances: range, *, seed: int, size: int, progress: Progress) -> Drawn:
    """Every class drawn once for each instance number.

    Labels are 0, 1, 2 and so on, and the images are class by class. Disjoint ranges of instances share no image;
    another seed gives other classes.
    """
    image_NHWC = np.empty((classes * len(instances), size, size, 3), dtype=np.uint8)
    labels_N = np.repeat(np.arange(classes, dtype=np.int64), len(instances))
    with running(progress, TASK, total=len(labels_N), unit="images"):
        for label in range(classes):
            for place, instance in enumerate(instances, start=label * len(instances)):
                image_NHWC[place] = draw(label, instance, seed=seed, size=size)
            progress.advance(TASK, len(instances))
    return Drawn(image_NHWC, labels_N)


class _Pose:
    """A slight bend, then an affine map: what a hand does to a letter from one time to the next."""

    def __init__(self, pen: np.random.Generator) -> None:
        turn, slant = pen.uniform(-MAX_TURN, MAX_TURN), pen.uniform(-0.3, 0.3)
        width, height = pen.uniform(0.5, 0.9) * np.exp(pen.uniform(-0.25, 0.25, size=2))
        cos, sin = np.cos(turn), np.sin(turn)
        self._matrix = np.array([[cos, -sin], [sin, cos]]) @ np.array([[width, slant * height], [0.0, height]])
        self._shift = pen.uniform(-0.2, 0.2, size=2)
        self._bend, self._phase = 0.08 * pen.normal(size=2), pen.uniform(0, 2 * np.pi, size=2)

    def __call__(self, point_P2: Points) -> Points:
        bent_P2 = point_P2 + self._bend * np.sin(2.5 * point_P2[:, ::-1] + self._phase)
        placed_P2: Points = bent_P2 @ self._matrix.T + self._shift
        return placed_P2


def _ink_of_lines(lines: list[Points], size: int, thickness: float) -> NDArray[np.float32]:
    """1 where a pixel's centre is within half the thickness of a line, falling to 0 over one pixel."""
    start_S2 = np.concatenate([line[:-1] for line in lines]).astype(np.float32)
    along_S2 = np.concatenate([np.diff(line, axis=0) for line in lines]).astype(np.float32)
    length2_S = (along_S2**2).sum(axis=1) + np.float32(1e-12)
    centre = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / size) - 1
    x_S1W = centre[None, None, :] - start_S2[:, 0, None, None]
    y_SH1 = centre[None, :, None] - start_S2[:, 1, None, None]
    dx_S11, dy_S11 = along_S2[:, 0, None, None], along_S2[:, 1, None, None]
    place_SHW = np.clip((x_S1W * dx_S11 + y_SH1 * dy_S11) / length2_S[:, None, None], 0, 1)
    distance2_SHW = (x_S1W - place_SHW * dx_S11) ** 2 + (y_SH1 - place_SHW * dy_S11) ** 2
    distance_HW = np.sqrt(distance2_SHW.min(axis=0))
    inside_HW = (np.float32(thickness / 2) - distance_HW) * np.float32(size / 2) + np.float32(0.5)
    coverage_HW: NDArray[np.float32] = np.clip(inside_HW, 0, 1, dtype=np.float32)
    return coverage_HW


def _ink_of_dots(dot_P2: Points, size: int) -> NDArray[np.float32]:
    """Darker where more dots fall, without end: 1 - exp(-density), where density 1 is an even spread."""
    column_P, row_P = np.floor((dot_P2.T + 1) * (size / 2)).astype(np.int64)
    inside = (column_P >= 0) & (column_P < size) & (row_P >= 0) & (row_P < size)
    count = np.bincount(row_P[inside] * size + column_P[inside], minlength=size * size).reshape(size, size)
    density_HW = count * (size * size / len(dot_P2))
    return np.asarray(1 - np.exp(-density_HW), dtype=np.float32)


def _blur(ink_HW: NDArray[np.float32], softness: float) -> NDArray[np.float32]:
    """A Gaussian blur, as two products with one banded matrix; `softness` is its standard deviation."""
    size = len(ink_HW)
    offset = (np.arange(size)[:, None] - np.arange(size)[None, :]) * (2 / size)
    kernel = np.exp(-0.5 * (offset / softness) ** 2)
    kernel = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.asarray(kernel @ ink_HW @ kernel.T, dtype=np.float32)


def _colour(ink_HW: NDArray[np.float32], pen: np.random.Generator) -> NDArray[np.uint8]:
    """Ink on paper: half of the time light grey on dark, else any colour on any other; with some noise.

    The plain half is what gets a network started: on wild colours alone it learns nothing for many epochs.
    """
    plain, noise = pen.random() < 0.5, 0.04 * pen.random()
    ink_C, paper_C = (pen.uniform(0.7, 1.0, size=1), pen.uniform(0.0, 0.15, size=1)) if plain else _two_colours(pen)
    image_HWC = paper_C + ink_HW[:, :, None] * (ink_C - paper_C)
    image_HWC = image_HWC + noise * pen.standard_normal((*ink_HW.shape, 1), dtype=np.float32)
    pixel_HWC = np.asarray(np.clip(image_HWC, 0, 1) * 255 + 0.5, dtype=np.uint8)
    return np.broadcast_to(pixel_HWC, (*ink_HW.shape, 3))


def _two_colours(pen: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    while True:
        ink_C, paper_C = pen.random((2, 3))
        if abs(ink_C.mean() - paper_C.mean()) >= MIN_CONTRAST:
            return ink_C, paper_C
