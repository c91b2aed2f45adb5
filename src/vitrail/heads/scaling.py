"""Features brought to mean 0 and standard deviation 1, as every head here takes them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Letters: N examples, D features.

ROWS_AT_ONCE = 8192  # float64 copies stay small


@dataclass(frozen=True, slots=True)
class Scaling:
    """Mean and standard deviation (divided by N, not N - 1) of each feature over the rows it was fitted on."""

    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]

    def apply(self, feature_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows, scaled, as float32."""
        return ((feature_ND - self.mean_D) / self.scale_D).astype(np.float32, copy=False)


def fit_scaling(feature_ND: NDArray[np.float32]) -> Scaling:
    """Means and deviations, summed in float64. A feature that does not vary gets scale 1, so that it becomes 0."""
    N = len(feature_ND)
    blocks = [feature_ND[start : start + ROWS_AT_ONCE] for start in range(0, N, ROWS_AT_ONCE)]
    mean_D = sum((block.sum(axis=0, dtype=np.float64) for block in blocks), np.zeros(())) / N
    square_D = sum((((block - mean_D) ** 2).sum(axis=0) for block in blocks), np.zeros(()))
    scale_D = np.sqrt(square_D / N).astype(np.float32)
    # Rounding leaves a constant feature some 1e-8 of its size; dividing by that would turn rounding into a signal.
    still_D = scale_D <= 1e-6 * np.abs(mean_D)
    return Scaling(mean_D.astype(np.float32), np.where(still_D | (scale_D == 0), np.float32(1), scale_D))
