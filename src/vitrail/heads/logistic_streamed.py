"""Multinomial logistic regression on more rows than memory holds, read minibatch by minibatch from the store.

The objective and the solution are those of `logistic.py` on standardised features. There are few passes over the rows,
for two reasons. The descent is preconditioned by the covariance of the features, which takes one pass. And it starts on
a sample of the rows that grows fourfold each time it is solved (Byrd, Chin, Nocedal & Wu 2012, doi
10.1007/s10107-012-0572-5), so that all rows are read for the last steps only. Each sum over a sample is made minibatch
by minibatch: memory holds a minibatch with its scores, and some thirty vectors of parameters.

It ends when another step promises less than `gain` nats, not at a test of the gradient that would take hours.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.core.errors import DataError, UsageError
from vitrail.heads.logistic import LogisticFit
from vitrail.heads.minimise import Minimum, minimise
from vitrail.heads.scaling import Scaling, standardising

# Letters: N examples, B of a minibatch, D features, C classes, P parameters = (D + 1) C.

GAIN = 1e-4  # nats
GROWTH = 4
LEAST_SAMPLE = 16_384
ROWS_AT_ONCE = 4096
MOST_PASSES = 200  # over one sample

Rows = Callable[[NDArray[np.int64]], NDArray[np.floating]]


def fit_streamed(
    rows: Rows, labels: NDArray[np.int64], *, classes: int, strength: float, gain: float = GAIN, seed: int = 0
) -> LogisticFit:
    """Fit one strength.

    Args:
        rows: gives the features of rows by their numbers, B x D, unscaled; the numbers are in ascending order. For a
            memory-mapped array this is `array.__getitem__`.
        labels: N class indices in [0, classes).
        classes: the number of classes.
        strength: scikit-learn's C.
        gain: it ends when another step promises to lower the objective by less, in nats.
        seed: of the samples.

    Returns:
        The fit; its `passes` counts readings of all N rows, including those for the covariance.

    Raises:
        UsageError: the strength is not above 0.
        DataError: the labels do not lie in [0, classes).
    """
    if not strength > 0:
        raise UsageError(f"Strengths (C) must be above 0, but {strength} was given.")
    if not len(labels) or labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"A head of {classes} classes needs labels in [0, {classes}): check what they were made from.")
    start, N = time.perf_counter(), len(labels)
    basis = _basis(rows, N)
    order_N = np.random.default_rng(seed).permutation(N)
    point_P = torch.zeros((len(basis.axis_DD) + 1) * classes)
    read = float(N)
    for size in _sizes(N):
        sample = _Sample(rows, labels, np.sort(order_N[:size]), basis, classes, strength)
        minimum = sample.solve(point_P, gain)
        point_P = minimum.point_P
        read += minimum.passes * size
    weight_CD, bias_C = basis.unfold(point_P, classes)
    return LogisticFit(
        strength=strength,
        scaling=basis.scaling,
        weight_CD=weight_CD.numpy(),
        bias_C=bias_C.numpy(),
        gradient=float(minimum.gradient_P.abs().max()),
        converged=minimum.reached,
        passes=round(read / N),
        seconds=time.perf_counter() - start,
    )


def _sizes(rows: int) -> Iterator[int]:
    """The sizes of the samples, each `GROWTH` times the one before; the last has all rows."""
    size = rows
    sizes = [size]
    while size >= GROWTH * LEAST_SAMPLE:
        size = -(-size // GROWTH)
        sizes.append(size)
    yield from reversed(sizes)


def _blocks(row_N: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(row_N), ROWS_AT_ONCE):
        yield row_N[start : start + ROWS_AT_ONCE]


def _read(rows: Rows, row_B: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows(row_B), dtype=np.float32))


@dataclass(frozen=True, slots=True)
class _Basis:
    """The standardising of the features, and the axes of their covariance after it, of variance `variance_D`."""

    scaling: Scaling
    axis_DD: Tensor
    variance_D: Tensor

    def unfold(self, point_P: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Weight and bias on standardised features, float64."""
        weight_DC = self.axis_DD.double() @ point_P[:-classes].double().view(-1, classes)
        return weight_DC.T.contiguous(), point_P[-classes:].double()


def _basis(rows: Rows, count: int) -> _Basis:
    """Means, deviations and covariance in one pass; shifted by the first rows' mean, so that little cancels."""
    all_rows = np.arange(count)
    shift_D = _read(rows, next(_blocks(all_rows))).mean(dim=0)
    D = len(shift_D)
    sum_D, gram_DD = torch.zeros(D, dtype=torch.float64), torch.zeros(D, D, dtype=torch.float64)
    for row_B in _blocks(all_rows):
        feature_BD = _read(rows, row_B).sub_(shift_D)
        sum_D += feature_BD.sum(dim=0, dtype=torch.float64)
        gram_DD += feature_BD.T @ feature_BD
    mean_D = sum_D / count
    covariance_DD = gram_DD / count - torch.outer(mean_D, mean_D)
    scaling = standardising((mean_D + shift_D).numpy(), covariance_DD.diagonal().clamp_min(0).numpy())
    scale_D = torch.from_numpy(scaling.scale_D).double()
    variance_D, axis_DD = torch.linalg.eigh(covariance_DD / torch.outer(scale_D, scale_D))
    return _Basis(scaling, axis_DD.float(), variance_D.clamp_min(0).float())


class _Sample:
    """The objective on some of the rows. Scaling and axes go into the weight: rows are used as they are read."""

    def __init__(
        self,
        rows: Rows,
        labels: NDArray[np.int64],
        row_N: NDArray[np.int64],
        basis: _Basis,
        classes: int,
        strength: float,
    ) -> None:
        self._rows, self._labels, self._row_N = rows, labels, row_N
        self._basis, self._classes = basis, classes
        self._decay = 1 / (strength * len(row_N))
        self._mean_D = torch.from_numpy(basis.scaling.mean_D)
        self._scale_D1 = torch.from_numpy(basis.scaling.scale_D)[:, None]

    def solve(self, start_P: Tensor, gain: float) -> Minimum:
        """Go down from a point until a Newton step with about this Hessian promises at most `gain`."""
        curvature_P = self.curvature(start_P)
        return minimise(
            self.objective,
            start_P,
            curvature_P=curvature_P,
            reached=lambda gradient_P: float((gradient_P.square() / curvature_P).sum()) / 2 <= gain,
            most_passes=MOST_PASSES,
        )

    def objective(self, point_P: Tensor) -> tuple[float, Tensor]:
        """Value and gradient."""
        C, N = self._classes, len(self._row_N)
        weight_DC, bias_C = self._on_rows(point_P)
        gradient_DC, gradient_C, loss = torch.zeros_like(weight_DC), torch.zeros_like(bias_C), 0.0
        for row_B in _blocks(self._row_N):
            feature_BD, label_B1 = _read(self._rows, row_B), torch.from_numpy(self._labels[row_B])[:, None]
            score_BC = torch.addmm(bias_C, feature_BD, weight_DC)
            total_B1 = score_BC.logsumexp(dim=1, keepdim=True)
            loss += float((total_B1 - score_BC.gather(1, label_B1)).sum(dtype=torch.float64))
            error_BC = score_BC.sub_(total_B1).exp_()
            error_BC.scatter_add_(1, label_B1, error_BC.new_full(label_B1.shape, -1.0))
            gradient_DC.addmm_(feature_BD.T, error_BC)
            gradient_C += error_BC.sum(dim=0)
        gradient_DC.addr_(self._mean_D, gradient_C, alpha=-1).div_(self._scale_D1)
        turned_DC = self._basis.axis_DD.T @ gradient_DC
        gradient_P = torch.cat([turned_DC.reshape(-1), gradient_C]).div_(N)
        gradient_P[:-C].add_(point_P[:-C], alpha=self._decay)
        return loss / N + self._decay / 2 * float(point_P[:-C].double().square().sum()), gradient_P

    def curvature(self, point_P: Tensor) -> Tensor:
        """About the diagonal of the Hessian, as in `logistic.py`; its mean p (1 - p) from the first rows alone."""
        C = self._classes
        weight_DC, bias_C = self._on_rows(point_P)
        probability_BC = torch.addmm(bias_C, _read(self._rows, next(_blocks(self._row_N))), weight_DC).softmax(dim=1)
        spread = max(float((probability_BC * (1 - probability_BC)).mean()), 1e-12)
        curvature_DC = (spread * self._basis.variance_D + self._decay)[:, None].expand(-1, C)
        return torch.cat([curvature_DC.reshape(-1), point_P.new_full((C,), spread)])

    def _on_rows(self, point_P: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias that score unscaled rows."""
        C = self._classes
        weight_DC = (self._basis.axis_DD @ point_P[:-C].view(-1, C)).div_(self._scale_D1)
        return weight_DC, point_P[-C:] - self._mean_D @ weight_DC
