"""The answers for test images of heads that never saw their value of a column. No test label is needed.

Letters: M judged test images, C classes.
"""

import numpy as np
from numpy.typing import NDArray

from vitrail.candidates.thresholds import predict
from vitrail.data import Dataset, Split
from vitrail.data.leave_out import plan_leave_out
from vitrail.features import Features
from vitrail.search import Search


def predict_new_values(
    search: Search, features: Features, dataset: Dataset, split: Split, column: str | None
) -> NDArray[np.float64] | None:
    """The probabilities (M x C) of the images of the column's `LeaveOutPlan`, in its order; None without a column."""
    if column is None:
        return None
    plan = plan_leave_out(dataset, split, column)
    ids = list(plan.value_of)
    fold_M = np.array([plan.fold_of[value] for value in plan.value_of.values()])
    probability_MC = np.empty((len(ids), len(dataset.classes)))
    for fold, head in enumerate(search.without):
        rows = np.flatnonzero(fold_M == fold)
        if len(rows):
            probability_MC[rows] = predict(head, features, [ids[row] for row in rows])
    return probability_MC
