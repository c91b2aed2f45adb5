"""What heads ask of labels, and what a label weighs where classes are of unequal size."""

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import DataError

# Letters: N examples, C classes.


def require_labels(features: NDArray[np.floating], labels: NDArray[np.int64], classes: int) -> None:
    """Raise a DataError unless each row of features has a label in [0, classes)."""
    if features.ndim != 2 or len(features) != len(labels) or not len(labels):
        raise DataError(
            f"A head needs a label for each row of features, but got features of shape {features.shape} and "
            f"{len(labels)} labels: check what the labels were made from."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"A head of {classes} classes needs labels in [0, {classes}), but they lie in [{labels.min()}, "
            f"{labels.max()}]: check what the labels were made from."
        )


def balanced_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """For each class the weight N / (C' count), as scikit-learn's class_weight="balanced"; C' classes have examples.

    The weights of all rows sum to N. A class without examples weighs 0, which weighs nothing.
    """
    count_C = np.bincount(labels, minlength=classes)
    present = int((count_C > 0).sum())
    return np.where(count_C > 0, len(labels) / (present * np.maximum(count_C, 1)), 0.0)
