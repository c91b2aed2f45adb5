"""The gain of twice the training images, forecast with the power law that most learning curves follow.

The law is error = a + b n^-c with a and b at least 0 (Viering and Loog 2022, arXiv:2103.10948). The interval holds the
gain of every law that the points do not reject: by the likelihood ratio with one degree of freedom below, and with two
above. The laws that gain most have a = 0, at the border of what is allowed, where one degree rejects the truth in up to
a quarter of the cases rather than in a tenth (Self and Liang 1987, JASA 82:605-610; benchmarks/coverage_forecast.py).

A class that is made of several kinds learns late: each kind needs images of its own. So the interval also holds the
gain of every law a + b (n + m)^-c that the points do not reject (the law with four parameters of the same review), with
m the images of the first point. Without these laws 90% intervals held in 54 to 71% of the cases where a class was made
of several breeds (benchmarks/backtest.py). Shifts from a twentieth of `start` to four times it were tried on part of
these cases.

Letters: P points, E exponents of the grid.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

# With the greatest, a curve has reached its end at the last points.
EXPONENTS = np.concatenate([np.linspace(0.05, 2.0, 391), np.geomspace(2.0, 8.0, 101)[1:]])
TINY = 1e-10  # the least variance of a point


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """The gain of the law nearest to the points, and the limits; `missed` is its squared distance to the points.

    In units of the points' errors, squared: of curves that follow a power law, 9 is exceeded by one in 370.
    """

    value: float
    low: float
    high: float
    missed: float


def forecast_gain(images_P: Floats, error_P: Floats, covariance_PP: Floats, *, start: float, level: float) -> Gain:
    """How much less the error is with twice `start` images than with `start`.

    Args:
        images_P: numbers of training images.
        error_P: the error measured with each.
        covariance_PP: of these errors.
        start: a number of images.
        level: of the interval.
    """
    weight_PP = np.asarray(np.linalg.inv(covariance_PP + TINY * np.eye(len(images_P))), dtype=np.float64)
    late = float(images_P.min())
    (pieces, gain_E), (late_pieces, late_gain_E) = (
        (_make_pieces(((images_P + m) / (start + m))[None] ** -EXPONENTS[:, None], error_P, weight_PP), _gain(start, m))
        for m in (0.0, late)
    )
    nearest = [piece.nearest() for piece in pieces]
    missed = min(float(distance_E.min()) for _, distance_E in nearest)
    b_E, distance_E = min(nearest, key=lambda found: float(found[1].min()))
    best = int(distance_E.argmin())
    below, above = (missed + float(stats.chi2.ppf(level, freedom)) for freedom in (1, 2))
    every = [*((piece, gain_E) for piece in pieces), *((piece, late_gain_E) for piece in late_pieces)]
    return Gain(
        value=float(b_E[best] * gain_E[best]),
        low=min(float((piece.reach(below)[0] * gains_E).min()) for piece, gains_E in every),
        high=max(float((piece.reach(above)[1] * gains_E).max()) for piece, gains_E in every),
        missed=missed,
    )


def _gain(start: float, shift: float) -> Floats:
    """The gain of twice `start` images by laws of n + shift images that are 1 at `start`."""
    gain_E: Floats = 1 - ((2 * start + shift) / (start + shift)) ** -EXPONENTS
    return gain_E


@dataclass(frozen=True, kw_only=True, slots=True)
class _Piece:
    """The squared distance to the points of laws with b in a range: curve b^2 - 2 slope b + height, by exponent.

    b is nowhere in the range where `first_E` is above `last_E`.
    """

    curve_E: Floats
    slope_E: Floats
    height: float
    first_E: Floats
    last_E: Floats

    def nearest(self) -> tuple[Floats, Floats]:
        """The b that is nearest to the points, and its distance; infinite where the range is empty."""
        b_E = np.clip(self.slope_E / self.curve_E, self.first_E, np.maximum(self.first_E, self.last_E))
        distance_E = (self.curve_E * b_E - 2 * self.slope_E) * b_E + self.height
        return b_E, np.where(self.first_E <= self.last_E, distance_E, np.inf)

    def reach(self, limit: float) -> tuple[Floats, Floats]:
        """The least and the greatest b within a distance; infinity and minus infinity where there is none."""
        square_E = self.slope_E**2 - self.curve_E * (self.height - limit)
        root_E = np.sqrt(np.maximum(square_E, 0.0))
        low_E = np.maximum(self.first_E, (self.slope_E - root_E) / self.curve_E)
        high_E = np.minimum(self.last_E, (self.slope_E + root_E) / self.curve_E)
        some_E = (square_E >= 0) & (low_E <= high_E)
        return np.where(some_E, low_E, np.inf), np.where(some_E, high_E, -np.inf)


def _make_pieces(power_EP: Floats, error_P: Floats, weight_PP: Floats) -> tuple[_Piece, _Piece]:
    """Laws whose best a is above 0, with that a, and all others, with a = 0."""
    one_P = weight_PP.sum(axis=0)
    total, level = float(one_P.sum()), float(one_P @ error_P)
    cross_E, square_E = power_EP @ one_P, ((power_EP @ weight_PP) * power_EP).sum(axis=1)
    slope_E, height = power_EP @ weight_PP @ error_P, float(error_P @ weight_PP @ error_P)
    # The best a for some b is (level - b cross) / total; it is 0 at this b.
    turn_E = level / np.where(cross_E == 0, np.finfo(np.float64).tiny, cross_E)
    above_E = cross_E > 0  # then a is above 0 for all lesser b, else for all greater
    border_E = np.maximum(turn_E, 0.0)
    lesser_E, greater_E = np.zeros_like(turn_E), np.full_like(turn_E, np.inf)
    free = _Piece(
        curve_E=square_E - cross_E**2 / total,
        slope_E=slope_E - cross_E * level / total,
        height=height - level**2 / total,
        first_E=np.where(above_E, lesser_E, border_E),
        last_E=np.where(above_E, turn_E, greater_E),
    )
    bounded = _Piece(
        curve_E=square_E,
        slope_E=slope_E,
        height=height,
        first_E=np.where(above_E, border_E, lesser_E),
        last_E=np.where(above_E, greater_E, turn_E),
    )
    return free, bounded
