"""Multinomial logistic regression on rows that stay on disk, read block by block.

The objective and the solution are those of `logistic.py`, with class weights too. There are few passes over the rows,
for two reasons. The descent is preconditioned by the covariance of the features, which takes one pass for all fits. And
the solution of one strength is the start of the next. Each sum over rows is made block by block: memory holds a block
with its scores, and some thirty vectors of parameters.

A fit ends when another step promises less than GAIN nats, not at a test of the gradient that would take hours.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.core.errors import DataError, UsageError
from vitrail.heads.head import LinearFit
from vitrail.heads.logistic import LogisticFit
from vitrail.heads.minimise import Minimum, minimise
from vitrail.heads.scaling import Scaling, ScalingKind, fit_scaling, standardising

# Letters: N examples, M of them, B of a block, D features, C classes, P parameters = (D + 1) C.

GAIN = 1e-7  # nats; with ten times more a rule of one standard error may choose another strength
ROWS_AT_ONCE = 2048
MOST_PASSES = 200


class Rows(Protocol):
    """Features that are read when they are indexed, such as a memory-mapped array."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.floating]:
        """The unscaled features of some rows, B x D, in a new array; the numbers are in ascending order."""


@dataclass(frozen=True, slots=True)
class StreamedAxes:
    """Rows with their scaling, and the axes of the covariance of the scaled rows, of variance `variance_D`.

    The scaling is that of all rows. It sees features and no labels. `centre_D` and `scale_D` are what the descent
    subtracts and divides by: of unscaled rows if features are standardised, else the mean of the scaled rows and 1.
    """

    rows: Rows
    scaling: Scaling
    centre_D: Tensor
    scale_D: Tensor
    axis_DD: Tensor
    variance_D: Tensor

    @classmethod
    def of(cls, rows: Rows, kind: ScalingKind = "standardise") -> "StreamedAxes":
        """Means, deviations and covariance in one pass; shifted by the first rows' mean, so that little cancels."""
        N = len(rows)
        by_row = fit_scaling(rows[np.arange(1)], "none" if kind == "standardise" else kind)
        shift_D = _read(rows, next(_blocks(np.arange(N))), by_row).mean(dim=0)
        D = len(shift_D)
        sum_D, gram_DD = torch.zeros(D, dtype=torch.float64), torch.zeros(D, D, dtype=torch.float64)
        for row_B in _blocks(np.arange(N)):
            feature_BD = _read(rows, row_B, by_row).sub_(shift_D)
            sum_D += feature_BD.sum(dim=0, dtype=torch.float64)
            gram_DD += feature_BD.T @ feature_BD
        mean_D = sum_D / N
        covariance_DD = gram_DD / N - torch.outer(mean_D, mean_D)
        scaling = by_row
        if kind == "standardise":
            scaling = standardising((mean_D + shift_D).numpy(), covariance_DD.diagonal().clamp_min(0).numpy())
        scale_D = torch.from_numpy(scaling.scale_D)
        variance_D, axis_DD = torch.linalg.eigh(covariance_DD / torch.outer(scale_D.double(), scale_D.double()))
        return cls(rows, scaling, (mean_D + shift_D).float(), scale_D, axis_DD.float(), variance_D.clamp_min(0).float())

    def read(self, row_B: NDArray[np.int64]) -> Tensor:
        """Some rows, float32: of length sqrt(D) under "l2", as they are under the other scalings."""
        return _read(self.rows, row_B, self.scaling)

    def on_rows(self, point_P: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Weight (D x C) and bias that score what `read` gives."""
        weight_DC = (self.axis_DD @ point_P[:-classes].view(-1, classes)).div_(self.scale_D[:, None])
        return weight_DC, point_P[-classes:] - self.centre_D @ weight_DC

    def from_rows(self, gradient_DC: Tensor, gradient_C: Tensor) -> Tensor:
        """The gradient of a point, from that of the weight and bias that score what `read` gives."""
        gradient_DC.addr_(self.centre_D, gradient_C, alpha=-1).div_(self.scale_D[:, None])
        return torch.cat([(self.axis_DD.T @ gradient_DC).reshape(-1), gradient_C])

    def unfold(self, point_P: Tensor, classes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weight (C x D) and bias on scaled features."""
        weight_DC = self.axis_DD.double() @ point_P[:-classes].double().view(-1, classes)
        bias_C = point_P[-classes:].double()
        if self.scaling.kind != "standardise":  # scaled features are not centred
            bias_C = bias_C - self.centre_D.double() @ weight_DC
        return weight_DC.T.contiguous().numpy(), bias_C.numpy()

    def fit_at(self, point_P: NDArray[np.float32], classes: int) -> LinearFit:
        """The head at a point that was found before."""
        weight_CD, bias_C = self.unfold(torch.from_numpy(point_P), classes)
        return LinearFit(scaling=self.scaling, weight_CD=weight_CD, bias_C=bias_C, seconds=0.0)


class StreamedPath:
    """Solves strength after strength on some rows; each starts from the solution before."""

    def __init__(
        self,
        axes: StreamedAxes,
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        *,
        classes: int,
        class_weights: NDArray[np.float64] | None = None,
        start_P: NDArray[np.float32] | None = None,
    ) -> None:
        """Prepare the fits; `fit` runs one.

        Args:
            axes: of all rows.
            rows: the numbers of the M rows to fit on, ascending.
            labels: their class indices in [0, classes).
            classes: the number of classes.
            class_weights: a weight for the rows of each class; None is 1 for all.
            start_P: the point of a similar fit; None starts from 0.

        Raises:
            DataError: the labels do not lie in [0, classes).
        """
        if not len(labels) or labels.min() < 0 or labels.max() >= classes:
            raise DataError(
                f"A head of {classes} classes needs labels in [0, {classes}): check what the labels were made from."
            )
        self._axes, self._row_M, self._label_M = axes, rows, labels
        self._weight_C = np.ones(classes) if class_weights is None else class_weights
        self._point_P = None if start_P is None else torch.from_numpy(start_P)

    @property
    def solution(self) -> NDArray[np.float32]:
        """The parameters (P) of the last fit, from which another path may start."""
        assert self._point_P is not None  # something was fitted
        return self._point_P.numpy()

    def fit(self, strength: float) -> LogisticFit:
        """The solution at one strength (scikit-learn's C).

        Raises:
            UsageError: the strength is not above 0.
        """
        if not strength > 0:
            raise UsageError(f"Strengths (C) must be above 0, but {strength} was given.")
        start, C = time.perf_counter(), len(self._weight_C)
        problem = _Problem(self._axes, self._row_M, self._label_M, self._weight_C, strength)
        if self._point_P is None:
            self._point_P = torch.zeros((len(self._axes.scale_D) + 1) * C)
        minimum = problem.solve(self._point_P)
        self._point_P = minimum.point_P
        weight_CD, bias_C = self._axes.unfold(self._point_P, C)
        return LogisticFit(
            strength=strength,
            scaling=self._axes.scaling,
            weight_CD=weight_CD,
            bias_C=bias_C,
            gradient=float(minimum.gradient_P.abs().max()),
            converged=minimum.reached,
            passes=minimum.passes,
            seconds=time.perf_counter() - start,
        )


def _blocks(row_N: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(row_N), ROWS_AT_ONCE):
        yield row_N[start : start + ROWS_AT_ONCE]


def _read(rows: Rows, row_B: NDArray[np.int64], scaling: Scaling) -> Tensor:
    """A tensor of some rows; under "l2" they are scaled, since that cannot go into the weight."""
    feature_BD = np.asarray(rows[row_B], dtype=np.float32)
    return torch.from_numpy(scaling.apply(feature_BD) if scaling.kind == "l2" else feature_BD)


class _Problem:
    """The objective at one strength. Scaling and axes go into the weight: rows are used as they are read."""

    def __init__(
        self,
        axes: StreamedAxes,
        row_M: NDArray[np.int64],
        label_M: NDArray[np.int64],
        weight_C: NDArray[np.float64],
        strength: float,
    ) -> None:
        self._axes, self._row_M, self._label_M = axes, row_M, label_M
        self._classes, self._weight_C = len(weight_C), torch.from_numpy(weight_C).float()
        self._total = float(weight_C @ np.bincount(label_M, minlength=len(weight_C)))
        self._decay = 1 / (strength * self._total)

    def solve(self, start_P: Tensor) -> Minimum:
        """Go down from a point until a Newton step with about this Hessian promises at most GAIN."""
        curvature_P = self.curvature(start_P)
        return minimise(
            self.objective,
            start_P,
            curvature_P=curvature_P,
            reached=lambda gradient_P: float((gradient_P.square() / curvature_P).sum()) / 2 <= GAIN,
            most_passes=MOST_PASSES,
        )

    def objective(self, point_P: Tensor) -> tuple[float, Tensor]:
        """Value and gradient."""
        C, total = self._classes, self._total
        weight_DC, bias_C = self._axes.on_rows(point_P, C)
        gradient_DC, gradient_C, loss = torch.zeros_like(weight_DC), torch.zeros_like(bias_C), 0.0
        for row_B, label_B in zip(_blocks(self._row_M), _blocks(self._label_M), strict=True):
            feature_BD, label_B1 = self._axes.read(row_B), torch.from_numpy(label_B)[:, None]
            weight_B1 = self._weight_C[label_B1]
            score_BC = torch.addmm(bias_C, feature_BD, weight_DC)
            total_B1 = score_BC.logsumexp(dim=1, keepdim=True)
            loss += float(((total_B1 - score_BC.gather(1, label_B1)) * weight_B1).sum(dtype=torch.float64))
            error_BC = score_BC.sub_(total_B1).exp_()
            error_BC.scatter_add_(1, label_B1, error_BC.new_full(label_B1.shape, -1.0))
            error_BC.mul_(weight_B1)
            gradient_DC.addmm_(feature_BD.T, error_BC)
            gradient_C += error_BC.sum(dim=0)
        gradient_P = self._axes.from_rows(gradient_DC, gradient_C).div_(total)
        gradient_P[:-C].add_(point_P[:-C], alpha=self._decay)
        return loss / total + self._decay / 2 * float(point_P[:-C].double().square().sum()), gradient_P

    def curvature(self, point_P: Tensor) -> Tensor:
        """About the diagonal of the Hessian, as in `logistic.py`; its mean p (1 - p) from a block of rows."""
        C, M = self._classes, len(self._row_M)
        weight_DC, bias_C = self._axes.on_rows(point_P, C)
        # Evenly spaced: neighbours on disk may be of one class.
        some_B = np.linspace(0, M - 1, min(M, ROWS_AT_ONCE)).astype(np.int64)
        probability_BC = torch.addmm(bias_C, self._axes.read(self._row_M[some_B]), weight_DC).softmax(dim=1)
        weight_B1 = self._weight_C[torch.from_numpy(self._label_M[some_B, None])]
        spread = max(float((probability_BC * (1 - probability_BC) * weight_B1).mean() / weight_B1.mean()), 1e-12)
        curvature_DC = (spread * self._axes.variance_D + self._decay)[:, None].expand(-1, C)
        return torch.cat([curvature_DC.reshape(-1), point_P.new_full((C,), spread)])
