"""The winning setting fitted again without some values of a column, for accuracy on values that training never saw."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitrail.data.leave_out import plan_leave_out

if TYPE_CHECKING:
    from vitrail.data import Dataset, Split
    from vitrail.search.examples import Examples


def choose_rows_without(
    examples: "Examples", rows: NDArray[np.int64], split: "Split", dataset: "Dataset", column: str
) -> list[NDArray[np.int64]]:
    """The rows to fit on for each fold of values, in the order of the folds: all with a value outside the fold."""
    fold_of = plan_leave_out(dataset, split, column).fold_of
    values = dataset.further(column, examples.ids)
    fold_N = np.array([-1 if value is None else fold_of[value] for value in values])
    return [rows[(fold_N[rows] >= 0) & (fold_N[rows] != fold)] for fold in range(1 + max(fold_of.values()))]
