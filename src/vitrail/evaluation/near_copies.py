"""The accuracy without the test images whose near-duplicate lies in train or val."""

from collections.abc import Collection

import numpy as np

from vitrail.heads.predictions import Predictions
from vitrail.statistics.intervals import Interval, wilson


def accuracy_without(predictions: Predictions, leaked: Collection[str], *, level: float) -> Interval | None:
    """Top-1 on the test images but the `leaked` ids, with Wilson's interval; None if no image is leaked, or all are."""
    gone = set(leaked)
    kept_N = np.array([id_ not in gone for id_ in predictions.ids], dtype=bool)
    if kept_N.all() or not kept_N.any():
        return None
    correct_N = predictions.probability_NC.argmax(axis=1) == predictions.label_N
    return wilson(int(correct_N[kept_N].sum()), int(kept_N.sum()), level)
