"""Scaled features in the axes of their covariance, in which linear heads are fitted quickly.

With fewer rows than features there are only as many axes as rows, and nothing is lost: the best weight of a linear head
is in the span of the rows.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.heads.head import LinearFit
from vitrail.heads.scaling import ScalingKind, fit_scaling

# Letters: N examples, M of them, D features, A axes (A <= D), C classes, P parameters = (A + 1) C.

FitT = TypeVar("FitT", bound=LinearFit)


@dataclass(frozen=True, slots=True)
class Axes:
    """Scaled features, centred and turned into the axes of their covariance, of variance `variance_A`."""

    axis_DA: Tensor
    centre_D: Tensor
    turned_NA: Tensor
    variance_A: Tensor

    @classmethod
    def of(cls, scaled_ND: Tensor) -> "Axes":
        """The axes of some rows."""
        N, D = scaled_ND.shape
        span_DA = torch.linalg.qr(scaled_ND.T).Q if N < D else None
        spanned_NA = scaled_ND if span_DA is None else scaled_ND @ span_DA
        centre_A = spanned_NA.mean(dim=0)
        variance_A, axis_DA = torch.linalg.eigh(spanned_NA.T @ spanned_NA / N - torch.outer(centre_A, centre_A))
        axis_DA = (axis_DA if span_DA is None else span_DA @ axis_DA).contiguous()
        centre_D = scaled_ND.mean(dim=0)
        turned_NA = (scaled_ND @ axis_DA).sub_(centre_D @ axis_DA)
        return cls(axis_DA, centre_D, turned_NA, variance_A.clamp_min(0))

    def take(self, row_M: Tensor) -> "Axes":
        """Some rows, centred anew, in the same axes; these are not quite the axes of their covariance."""
        taken_MA = self.turned_NA[row_M]
        mean_A = taken_MA.mean(dim=0)
        taken_MA = taken_MA - mean_A
        centre_D = self.centre_D + self.axis_DA @ mean_A
        return Axes(self.axis_DA, centre_D, taken_MA, taken_MA.square().mean(dim=0))

    @property
    def width(self) -> int:
        """The number of axes."""
        return len(self.variance_A)

    def unfold(self, point_P: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Weight and bias on the scaled features, float64."""
        weight_AC, bias_C = split_point(point_P.double(), classes)
        weight_CD = (self.axis_DA.double() @ weight_AC).T.contiguous()
        return weight_CD, bias_C - weight_CD @ self.centre_D.double()

    def fold(self, weight_CD: Tensor, bias_C: Tensor) -> Tensor:
        """The point with this weight and bias; the inverse of `unfold`."""
        weight_AC = self.axis_DA.double().T @ weight_CD.T
        bias_C = bias_C + weight_CD @ self.centre_D.double()
        return torch.cat([weight_AC.reshape(-1), bias_C]).to(self.axis_DA.dtype)

    def largest(self, gradient_P: Tensor, classes: int) -> float:
        """The largest entry of a gradient on the scaled features, which are not centred."""
        gradient_AC, bias_C = split_point(gradient_P, classes)
        gradient_DC = torch.addr(self.axis_DA @ gradient_AC, self.centre_D, bias_C)
        return max(float(gradient_DC.abs().max()), float(bias_C.abs().max()))


class TurnedRows:
    """Scaled rows that are turned into their axes once, for fits on many subsets of them.

    The scaling is that of all rows. It sees features and no labels.
    """

    def __init__(self, features: NDArray[np.float32], scaling: ScalingKind) -> None:
        self.scaling = fit_scaling(features, scaling)
        self._axes = Axes.of(torch.from_numpy(self.scaling.apply(features)))

    def take(self, rows: NDArray[np.int64]) -> Axes:
        """Some of the rows in the same axes; nothing is decomposed again."""
        return self._axes.take(torch.from_numpy(rows))

    def unfold(self, fit: FitT, axes: Axes) -> FitT:
        """A linear fit on turned rows as one on unscaled features."""
        weight_CA, bias_C = torch.from_numpy(fit.weight_CD), torch.from_numpy(fit.bias_C)
        point_P = torch.cat([weight_CA.T.reshape(-1), bias_C])
        weight_CD, bias_C = axes.unfold(point_P, len(bias_C))
        return replace(fit, scaling=self.scaling, weight_CD=weight_CD.numpy(), bias_C=bias_C.numpy())


def split_point(point_P: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Weight (A x C) and bias (C) in one vector of parameters."""
    return point_P[:-classes].view(-1, classes), point_P[-classes:]
