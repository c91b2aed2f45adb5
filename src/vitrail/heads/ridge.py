"""Ridge regression onto one indicator a class: every strength, and exact leave-one-out, from one eigendecomposition.

The objective is scikit-learn's RidgeClassifierCV: targets +1 for a row's class and -1 for the others,

    |Y - X W^T - b|^2 + alpha |W|^2,        b free,

with its `alpha`: a greater one regularises more. With class weights each row's squared error is multiplied by its
weight w, as in scikit-learn: a weight of 2 is the row twice. Features and targets are centred at their weighted means,
which frees the bias, rows of both are multiplied by the root of w, and then

    n >= d: X^T X = V diag(s) V^T,   W = Y^T X V diag(1 / (s + alpha)) V^T
    n <  d: X X^T = U diag(s) U^T,   W = Y^T U diag(1 / (s + alpha)) U^T X

so that another strength is a rescaling. The prediction for row i of the fit without row i needs no other fit: with the
hat matrix H = r r^T / sum(w) + U diag(s / (s + alpha)) U^T, r the roots of w, it is y_i - (y_i - yhat_i) / (1 - H_ii),
exactly (Cook & Weisberg 1982, section 2.2), with the bias fitted again and the other weights as they are. If rows come
in groups, whole groups are left out as exactly (`left_out_groups.py`). eigh and not an SVD of X: it costs a third, and
dividing by s + alpha hides what squaring loses; the Gram matrix is summed in float64.

A score is the prediction of a regression, near -1 or +1, and not a logit. As for every head, probabilities are
softmax(scores / temperature). The leave-one-out scores are those of rows not fitted on, so a first temperature is
fitted on them, and weight and bias are divided by it: then `logits` can be compared with the logits of other kinds.
This does not change which class is first, and the temperature of the head, fitted out of fold as always, is applied in
addition.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.core.errors import UsageError
from vitrail.heads.head import LinearFit, require_labels
from vitrail.heads.left_out_groups import MOST_LEVERAGE, leave_out_groups
from vitrail.heads.scaling import ScalingKind, fit_scaling
from vitrail.heads.temperature import first_temperature

# Letters: N examples, D features, C classes, S the lesser of N and D.

SURE = 0.99  # of a leverage: float32 predictions are off by 1e-6, and so by 1e-4 at most when left out
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Leave-one-out figures of a strength: accuracy, and mean squared error over rows and classes; both weighted."""

    alpha: float
    error: float
    accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RidgeFit(LinearFit):
    """The solution at one strength; weight and bias are divided by `temperature`: see the top."""

    alpha: float
    temperature: float
    left_out: LeftOut


def fit_ridge(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    classes: int,
    alphas: Sequence[float],
    scaling: ScalingKind = "standardise",
    class_weights: NDArray[np.float64] | None = None,
) -> list[RidgeFit]:
    """Fit every strength; one fit each, in their order.

    Args:
        features: N x D, unscaled.
        labels: N class indices in [0, classes).
        classes: the number of classes.
        alphas: penalties, each above 0, added to the sum and not to the mean over rows, as in scikit-learn.
        class_weights: a weight for the rows of each class; None is 1 for all.

    Raises:
        UsageError: a penalty is not above 0.
        DataError: a row has no label in [0, classes).
    """
    path = RidgePath(features, labels, classes=classes, scaling=scaling, class_weights=class_weights)
    return [path.fit(alpha) for alpha in alphas]


class RidgePath:
    """The eigendecomposition made once; each strength rescales it."""

    def __init__(
        self,
        features: NDArray[np.float32],
        labels: NDArray[np.int64],
        *,
        classes: int,
        scaling: ScalingKind = "standardise",
        class_weights: NDArray[np.float64] | None = None,
    ) -> None:
        require_labels(features, labels, classes)
        self._scaling = fit_scaling(features, scaling)
        N, D = features.shape
        # With hardly more rows than features a prediction is nearly its target: leaving the row out magnifies rounding.
        scaled_ND = torch.from_numpy(self._scaling.exact(features) if N < 2 * D else self._scaling.apply(features))
        self._label_N = torch.from_numpy(labels)
        weight_C = torch.from_numpy(np.ones(classes) if class_weights is None else class_weights)
        self._weight_N, self._total = weight_C[self._label_N], float(weight_C[self._label_N].sum())
        self._prior_C = torch.bincount(self._label_N, minlength=classes) * weight_C / self._total
        self._mean_D = weight_C @ _sum_classes(scaled_ND, self._label_N, classes) / self._total
        self._centred_ND = scaled_ND - self._mean_D.to(scaled_ND.dtype)
        self._square_S, self._axis_DS = _axes(self._centred_ND, self._weight_N.sqrt())
        self._turned_NS = self._centred_ND @ self._axis_DS.to(scaled_ND.dtype)
        self._turned_square_NS = self._turned_NS.square()  # once: a tensor as large as the features for each strength
        # X^T Y: twice each class's sum of centred features, since the -1 add up to 0.
        pull_CD = 2 * weight_C[:, None] * _sum_classes(self._centred_ND, self._label_N, classes)
        self._pull_SC = self._axis_DS.T @ pull_CD.T

    def leave_one_out(self, alpha: float) -> LeftOut:
        """The leave-one-out figures of one strength."""
        return self.judge(self.left_out_scores(alpha), alpha)

    def judge(self, answer_NC: Tensor, alpha: float) -> LeftOut:
        """The figures of left-out scores at a strength."""
        right_N = answer_NC.argmax(dim=1) == self._label_N
        # Targets are -1, and +1 at the label: (a - y)^2 is (a + 1)^2, minus 4 a at the label.
        own_N = answer_NC.gather(1, self._label_N[:, None])[:, 0].double()
        error_N = answer_NC.add(1).square_().mean(dim=1, dtype=torch.float64) - 4 * own_N / answer_NC.shape[1]
        error, accuracy = (float(self._weight_N @ value_N) / self._total for value_N in (error_N, right_N.double()))
        return LeftOut(alpha=alpha, error=error, accuracy=accuracy)

    def left_out_scores(self, alpha: float) -> Tensor:
        """For each row the scores of the fit without it, N x C.

        Raises:
            UsageError: alpha is not above 0.
        """
        if not alpha > 0:
            raise UsageError(f"Ridge strengths (alpha) must be above 0, but {alpha} was given.")
        shrunk_S = 1 / (self._square_S + alpha)
        slope_SC = self._pull_SC * shrunk_S[:, None]
        turned_NS = self._turned_NS
        leverage_N = self._leverage(self._turned_square_NS, shrunk_S)
        if turned_NS.dtype == torch.float32 and leverage_N.max() > SURE:
            turned_NS = self._centred_ND.double() @ self._axis_DS
            leverage_N = self._leverage(turned_NS.square(), shrunk_S)
        dtype = turned_NS.dtype
        answer_NC = torch.addmm((2 * self._prior_C - 1).to(dtype), turned_NS, slope_SC.to(dtype))
        # y - (y - a) / (1 - h) = (a - h y) / (1 - h)
        leverage_N1 = leverage_N.clamp_max_(MOST_LEVERAGE)[:, None]
        answer_NC.add_(leverage_N1)
        answer_NC.scatter_add_(1, self._label_N[:, None], -2 * leverage_N1)
        return answer_NC.div_(1 - leverage_N1)

    def left_out_group_scores(self, alpha: float, group_N: NDArray[np.int64]) -> Tensor:
        """For each row the scores of the fit without its group, N x C, float64; `alpha` is above 0."""
        shrunk_S = 1 / (self._square_S + alpha)
        turned_NS = self._centred_ND.double() @ self._axis_DS
        answer_NC = torch.addmm(2 * self._prior_C - 1, turned_NS, self._pull_SC * shrunk_S[:, None])
        target_NC = torch.full_like(answer_NC, -1).scatter_(1, self._label_N[:, None], 1)
        root_N1 = self._weight_N.sqrt()[:, None]
        bias_N1 = torch.full_like(root_N1, self._total**-0.5)
        factor_NA = root_N1 * torch.cat([bias_N1, turned_NS * shrunk_S.sqrt()], dim=1)
        residual_NC = root_N1 * (target_NC - answer_NC)
        return target_NC - leave_out_groups(residual_NC, factor_NA, torch.from_numpy(group_N)) / root_N1

    def fit(self, alpha: float) -> RidgeFit:
        """The solution at one strength."""
        start = time.perf_counter()
        answer_NC = self.left_out_scores(alpha)
        temperature = first_temperature(answer_NC.numpy(), self._label_N.numpy())
        weight_CD = (self._axis_DS @ (self._pull_SC / (self._square_S + alpha)[:, None])).T
        bias_C = 2 * self._prior_C - 1 - weight_CD @ self._mean_D
        return RidgeFit(
            alpha=alpha,
            scaling=self._scaling,
            weight_CD=(weight_CD / temperature).contiguous().numpy(),
            bias_C=(bias_C / temperature).numpy(),
            temperature=temperature,
            left_out=self.judge(answer_NC, alpha),
            seconds=time.perf_counter() - start,
        )

    def _leverage(self, turned_square_NS: Tensor, shrunk_S: Tensor) -> Tensor:
        dtype = turned_square_NS.dtype
        return self._weight_N.to(dtype) * (1 / self._total + turned_square_NS @ shrunk_S.to(dtype))


def _sum_classes(row_ND: Tensor, label_N: Tensor, classes: int) -> Tensor:
    """The sum of each class's rows, C x D, float64."""
    sum_CD = torch.zeros(classes, row_ND.shape[1], dtype=torch.float64)
    for label_B, row_BD in zip(torch.split(label_N, ROWS_AT_ONCE), torch.split(row_ND, ROWS_AT_ONCE), strict=True):
        sum_CD.index_add_(0, label_B, row_BD.double())
    return sum_CD


def _axes(centred_ND: Tensor, root_N: Tensor) -> tuple[Tensor, Tensor]:
    """The squares of X's singular values and its right singular vectors, S of each; float64.

    Rows are multiplied by the roots of their weights.
    """
    N, D = centred_ND.shape
    if N >= D:
        gram_DD = torch.zeros(D, D, dtype=torch.float64)
        blocks = zip(torch.split(centred_ND, ROWS_AT_ONCE), torch.split(root_N, ROWS_AT_ONCE), strict=True)
        for block_BD, root_B in blocks:
            block_BD = block_BD.double() * root_B[:, None]
            gram_DD.addmm_(block_BD.T, block_BD)
        square_S, axis_DS = torch.linalg.eigh(gram_DD)
        return square_S.clamp_min_(0), axis_DS
    wide_ND = centred_ND.double() * root_N[:, None]
    square_S, left_NS = torch.linalg.eigh(wide_ND @ wide_ND.T)
    # Centring leaves at least one axis without length: its direction is of no use and would be divided by 0.
    floor = float(square_S[-1]) * N * torch.finfo(torch.float64).eps
    length_S = torch.where(square_S > floor, square_S, torch.inf).sqrt()
    return square_S.clamp_min_(0), wide_ND.T @ (left_NS / length_S)
