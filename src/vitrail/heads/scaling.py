"""How features are scaled for a head: each feature to mean 0 and deviation 1, each row to one length, or not at all.

The best of the three depends on the backbone, so the search tries them.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import UsageError

# Letters: N examples, D features.

ROWS_AT_ONCE = 8192  # float64 copies stay small

ScalingKind = Literal["standardise", "l2", "none"]
SCALINGS: tuple[ScalingKind, ...] = get_args(ScalingKind)


@dataclass(frozen=True, slots=True)
class Scaling:
    """Scaled rows are (row - mean_D) / scale_D; with "l2" each row is first scaled to length sqrt(D).

    That length, and not 1, gives a feature a mean square of 1 as standardising does, so that one range of strengths
    and learning rates fits both. With "l2" and "none" mean is 0 and scale 1.
    """

    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]
    kind: ScalingKind = "standardise"

    def apply(self, feature_ND: NDArray[np.floating]) -> NDArray[np.float32]:
        """The scaled rows as float32, for training."""
        return self._scale(feature_ND.astype(np.float32, copy=False)).astype(np.float32, copy=False)

    def exact(self, feature_ND: NDArray[np.floating]) -> NDArray[np.float64]:
        """The scaled rows as float64, for inference."""
        return self._scale(feature_ND.astype(np.float64)).astype(np.float64, copy=False)

    def _scale(self, feature_ND: NDArray[np.floating]) -> NDArray[np.floating]:
        if self.kind == "none":
            return feature_ND
        if self.kind == "l2":
            length_N1 = np.sqrt(np.einsum("nd,nd->n", feature_ND, feature_ND, dtype=np.float64))[:, None]
            factor_N1 = np.sqrt(feature_ND.shape[1]) / np.where(length_N1 == 0, 1, length_N1)
            long_ND: NDArray[np.floating] = feature_ND * factor_N1.astype(feature_ND.dtype)
            return long_ND
        scaled_ND = feature_ND - self.mean_D
        scaled_ND /= self.scale_D
        return scaled_ND


def fit_scaling(feature_ND: NDArray[np.floating], kind: ScalingKind = "standardise") -> Scaling:
    """The scaling of some rows; for "standardise" their means and deviations (divided by N), summed in float64.

    A feature that does not vary gets scale 1, so that it becomes 0.

    Raises:
        UsageError: the scaling is unknown.
    """
    N, D = feature_ND.shape
    if kind not in SCALINGS:
        raise UsageError(f"Unknown feature scaling {kind!r}: choose one of {', '.join(SCALINGS)}.")
    if kind != "standardise":
        return Scaling(np.zeros(D, np.float32), np.ones(D, np.float32), kind)
    blocks = [feature_ND[start : start + ROWS_AT_ONCE] for start in range(0, N, ROWS_AT_ONCE)]
    mean_D = sum((block.sum(axis=0, dtype=np.float64) for block in blocks), np.zeros(())) / N
    square_D = sum((((block - mean_D) ** 2).sum(axis=0) for block in blocks), np.zeros(()))
    return standardising(mean_D, square_D / N)


def standardising(mean_D: NDArray[np.float64], variance_D: NDArray[np.float64]) -> Scaling:
    """The scaling that standardises features of these means and variances."""
    scale_D = np.sqrt(variance_D).astype(np.float32)
    # Rounding gives a constant feature a deviation of 1e-8 of its size; dividing by it would amplify the rounding.
    still_D = scale_D <= 1e-6 * np.abs(mean_D)
    return Scaling(mean_D.astype(np.float32), np.where(still_D | (scale_D == 0), np.float32(1), scale_D))
