"""Multinomial logistic regression over a path of strengths, each solved until its gradient passes a test.

The objective is scikit-learn's (sklearn/linear_model/_logistic.py, `l2_reg_strength`):

    mean over N of -log softmax(x W^T + b)[label]  +  |W|^2 / (2 C N),        b free,

on scaled features, with one row of W for each class, even for two classes (scikit-learn then has one row: our solution
at C is its solution at 2 C). C is called `strength`: a greater one regularises less. With class weights the mean is
weighted and N is the sum of the weights, as in scikit-learn.

How it is fast. The features are centred, which changes the bias alone, and turned into the axes of their covariance,
once for the whole path. There the Hessian is nearly diagonal, about mean p (1 - p) x variance + 1 / (C N), and L-BFGS
starts from this diagonal. With fewer rows than features there are only as many axes as rows, and nothing is lost: the
best W is in the span of the rows. Each strength starts from an extrapolation of the earlier solutions, which move
almost linearly in log C (a predictor, Allgower and Georg 1990, Numerical Continuation Methods, section 2). Products are
float32; the end test uses the scaled features in float64, and if float32 cannot pass it the last steps are done in
float64.

When it ends. A gradient g leaves W at most |g| C N from the solution: with little regularisation a small gradient says
less. So above C = 1 the test is stricter, by the root of C; benchmarks/logistic_path.py measures the difference.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.core.errors import UsageError
from vitrail.heads.axes import Axes, TurnedRows, split_point
from vitrail.heads.head import LinearFit, require_labels
from vitrail.heads.minimise import minimise
from vitrail.heads.scaling import ScalingKind, fit_scaling

# Letters: N examples, D features, A axes (A <= D), C classes, P parameters = (A + 1) C.

TOLERANCE = 1e-6  # of the largest entry of the gradient of the mean loss, scikit-learn's tol
SEARCH_TOLERANCE = 3e-5  # moves a mean loss on a val by less than 0.001, far below its error
MOST_PASSES = 5000
ROWS_AT_ONCE = 8192


@dataclass(frozen=True, kw_only=True, slots=True)
class LogisticFit(LinearFit):
    """The solution at one strength; `passes` counts evaluations of the loss over all rows."""

    strength: float
    gradient: float
    converged: bool
    passes: int


def fit_path(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    classes: int,
    strengths: Sequence[float],
    scaling: ScalingKind = "standardise",
    class_weights: NDArray[np.float64] | None = None,
    tolerance: float = TOLERANCE,
) -> list[LogisticFit]:
    """Fit every strength, from the strongest regularisation (least C) to the weakest; one fit each, in their order.

    Args:
        features: N x D, unscaled.
        labels: N class indices in [0, classes).
        classes: the number of classes; a class without examples is allowed and gets a low bias.
        strengths: scikit-learn's C, each above 0.
        class_weights: a weight for the examples of each class, such as `balanced_weights`; None is 1 for all.
        tolerance: a fit is solved if no entry of the gradient of the mean loss is larger than this, divided by the root
            of C if C is above 1.

    Raises:
        UsageError: a strength is not above 0.
        DataError: a row has no label in [0, classes).
    """
    if not all(strength > 0 for strength in strengths):
        raise UsageError(f"Strengths (C) must be above 0, but {min(strengths)} was given.")
    path = LogisticPath(
        features, labels, classes=classes, scaling=scaling, class_weights=class_weights, tolerance=tolerance
    )
    fits = {strength: path.fit(strength) for strength in sorted(set(strengths))}
    return [fits[strength] for strength in strengths]


class _Path:
    """Solves strength after strength on the rows of `axes`; each starts from an extrapolation of the two before."""

    def __init__(
        self,
        axes: Axes,
        labels: NDArray[np.int64],
        *,
        classes: int,
        class_weights: NDArray[np.float64] | None,
        tolerance: float,
        largest: Callable[[Axes, Tensor], float],
    ) -> None:
        weight_C = np.ones(classes) if class_weights is None else class_weights
        self._labels = _Labels(torch.from_numpy(labels), torch.from_numpy(weight_C[labels]))
        self._axes, self._classes, self._tolerance, self._largest = axes, classes, tolerance, largest
        self._point_P = torch.zeros((axes.width + 1) * classes)
        self._solved: list[tuple[float, Tensor]] = []  # log C and point of the last two

    def _decay(self, strength: float) -> float:
        return 1 / (strength * self._labels.total)

    def _tolerance_at(self, strength: float) -> float:
        return self._tolerance / max(1.0, math.sqrt(strength))  # see the top

    def _solve(self, strength: float) -> int:
        """Move to the solution at one strength; the number of passes."""
        decay = self._decay(strength)
        start_P, tried = self._extrapolate(math.log(strength), decay)
        self._point_P, passes = self._descend(self._axes, start_P, decay, self._tolerance_at(strength))
        return passes + tried

    def _remember(self, strength: float) -> None:
        self._solved = [*self._solved[-1:], (math.log(strength), self._point_P)]

    def _extrapolate(self, log_strength: float, decay: float) -> tuple[Tensor, int]:
        """The extrapolated point, or the last one if it is better; and the number of passes."""
        if len(self._solved) < 2 or self._solved[0][0] == self._solved[1][0]:
            return self._point_P, 0
        (before, before_P), (last, last_P) = self._solved
        ahead_P = torch.lerp(before_P, last_P, (log_strength - before) / (last - before))
        ahead, stay = (
            _loss(self._axes.turned_NA, self._labels, point_P, decay, self._classes)[0] for point_P in (ahead_P, last_P)
        )
        return (ahead_P, 2) if ahead < stay else (last_P, 2)

    def _descend(self, axes: Axes, start_P: Tensor, decay: float, tolerance: float) -> tuple[Tensor, int]:
        C = self._classes
        minimum = minimise(
            lambda point_P: _loss(axes.turned_NA, self._labels, point_P, decay, C),
            start_P,
            curvature_P=_curvature(axes, self._labels, start_P, decay, C),
            reached=lambda gradient_P: self._largest(axes, gradient_P) <= 0.9 * tolerance,
            most_passes=MOST_PASSES,
        )
        return minimum.point_P, minimum.passes


class LogisticPath(_Path):
    """The exact path: features prepared once, and every solution tested on the scaled features in float64."""

    def __init__(
        self,
        features: NDArray[np.float32],
        labels: NDArray[np.int64],
        *,
        classes: int,
        scaling: ScalingKind = "standardise",
        class_weights: NDArray[np.float64] | None = None,
        tolerance: float = TOLERANCE,
    ) -> None:
        require_labels(features, labels, classes)
        self._scaling = fit_scaling(features, scaling)
        self._scaled_ND = torch.from_numpy(self._scaling.apply(features))
        super().__init__(
            Axes.of(self._scaled_ND),
            labels,
            classes=classes,
            class_weights=class_weights,
            tolerance=tolerance,
            largest=lambda axes, gradient_P: axes.largest(gradient_P, classes),
        )
        self._exact: Axes | None = None

    def fit(self, strength: float) -> LogisticFit:
        """The solution at one strength."""
        start = time.perf_counter()
        decay, tolerance = self._decay(strength), self._tolerance_at(strength)
        passes = self._solve(strength)
        weight_CD, bias_C = self._axes.unfold(self._point_P, self._classes)
        gradient = self._gradient(weight_CD, bias_C, decay)
        if gradient > tolerance:
            self._exact = self._exact or Axes.of(self._scaled_ND.double())
            point_P, more = self._descend(self._exact, self._exact.fold(weight_CD, bias_C), decay, tolerance)
            passes += more
            weight_CD, bias_C = self._exact.unfold(point_P, self._classes)
            self._point_P = self._axes.fold(weight_CD, bias_C)
            gradient = self._gradient(weight_CD, bias_C, decay)
        self._remember(strength)
        return LogisticFit(
            strength=strength,
            scaling=self._scaling,
            weight_CD=weight_CD.numpy(),
            bias_C=bias_C.numpy(),
            gradient=gradient,
            converged=gradient <= tolerance,
            passes=passes,
            seconds=time.perf_counter() - start,
        )

    def _gradient(self, weight_CD: Tensor, bias_C: Tensor, decay: float) -> float:
        """The largest entry of the gradient on the scaled features, in float64 and block by block."""
        point_P = torch.cat([weight_CD.T.reshape(-1), bias_C])
        _, gradient_P = _loss(self._scaled_ND, self._labels, point_P, decay, self._classes)
        return float(gradient_P.abs().max())


class SubsetPath(_Path):
    """The path on some rows of `TurnedRows`, for a search: float32, and the gradient is tested in the axes.

    The largest entry of a gradient is about as large there: the axes are orthonormal, so its length is the same.
    """

    def __init__(
        self,
        turned: TurnedRows,
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        *,
        classes: int,
        class_weights: NDArray[np.float64] | None = None,
        tolerance: float = SEARCH_TOLERANCE,
    ) -> None:
        self._scaling = turned.scaling
        super().__init__(
            turned.take(rows),
            labels,
            classes=classes,
            class_weights=class_weights,
            tolerance=tolerance,
            largest=lambda axes, gradient_P: float(gradient_P.abs().max()),
        )

    def fit(self, strength: float) -> LogisticFit:
        """The solution at one strength."""
        start = time.perf_counter()
        passes = self._solve(strength)
        self._remember(strength)
        _, gradient_P = _loss(self._axes.turned_NA, self._labels, self._point_P, self._decay(strength), self._classes)
        gradient = self._largest(self._axes, gradient_P)
        weight_CD, bias_C = self._axes.unfold(self._point_P, self._classes)
        return LogisticFit(
            strength=strength,
            scaling=self._scaling,
            weight_CD=weight_CD.numpy(),
            bias_C=bias_C.numpy(),
            gradient=gradient,
            converged=gradient <= self._tolerance_at(strength),
            passes=passes,
            seconds=time.perf_counter() - start,
        )


@dataclass(frozen=True, slots=True)
class _Labels:
    """Each row's label and weight, float64; `total` is the sum of the weights."""

    label_N: Tensor
    weight_N: Tensor

    @property
    def total(self) -> float:
        return float(self.weight_N.sum())


def _loss(feature_NA: Tensor, labels: _Labels, point_P: Tensor, decay: float, classes: int) -> tuple[float, Tensor]:
    """The objective and its gradient, in the dtype of the point; sums of the loss in float64."""
    weight_AC, bias_C = split_point(point_P, classes)
    gradient_P = torch.zeros_like(point_P)
    gradient_AC, gradient_C = split_point(gradient_P, classes)
    loss, total = 0.0, labels.total
    for start in range(0, len(feature_NA), ROWS_AT_ONCE):
        block_BA = feature_NA[start : start + ROWS_AT_ONCE].to(point_P.dtype)
        label_B1 = labels.label_N[start : start + ROWS_AT_ONCE, None]
        weight_B1 = labels.weight_N[start : start + ROWS_AT_ONCE, None]
        score_BC = torch.addmm(bias_C, block_BA, weight_AC)
        total_B1 = score_BC.logsumexp(dim=1, keepdim=True)
        loss += float(((total_B1 - score_BC.gather(1, label_B1)) * weight_B1).sum())
        error_BC = score_BC.sub_(total_B1).exp_()
        error_BC.scatter_add_(1, label_B1, error_BC.new_full(label_B1.shape, -1.0))
        error_BC.mul_(weight_B1.to(point_P.dtype))
        gradient_AC.addmm_(block_BA.T, error_BC)
        gradient_C.add_(error_BC.sum(dim=0))
    gradient_P.div_(total)
    gradient_AC.add_(weight_AC, alpha=decay)
    return loss / total + decay / 2 * float(weight_AC.double().square().sum()), gradient_P


def _curvature(axes: Axes, labels: _Labels, point_P: Tensor, decay: float, classes: int) -> Tensor:
    """About the diagonal of the Hessian: mean p (1 - p) x variance + decay; see the top."""
    weight_AC, bias_C = split_point(point_P, classes)
    probability_NC = torch.addmm(bias_C, axes.turned_NA, weight_AC).softmax(dim=1)
    weight_N1 = labels.weight_N[:, None].to(point_P.dtype)
    spread = float((probability_NC * (1 - probability_NC) * weight_N1).mean()) * len(weight_N1) / labels.total
    curvature_AC = (spread * axes.variance_A + decay)[:, None].expand(-1, classes)
    return torch.cat([curvature_AC.reshape(-1), point_P.new_full((classes,), max(spread, 1e-12))])
