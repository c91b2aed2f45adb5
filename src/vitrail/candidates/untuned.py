"""The answers of a backbone's own classifier on the images, before any tuning.

Its outputs are matched to the user's classes by name or, if names do not match, by its answers on the training images:
each class takes the output with the most evidence for it, one to one. Both happen before the test labels are opened;
labels are needed only to count how many answers are right.

Letters: N examples, K outputs of the classifier, C classes.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from vitrail.data.traces import MatchedBy, UntunedAnswers


def answer_untuned(
    log_NK: NDArray[np.float64], places: Mapping[int, tuple[int, ...]], *, label_set: str, matched_by: MatchedBy
) -> UntunedAnswers:
    """The classifier's answers among the matched classes.

    A class that may mean several outputs has their probability together.

    Args:
        log_NK: log probabilities of the test images.
        places: the outputs of each matched class, at least one class.
        label_set: the classes of the outputs.
        matched_by: how outputs and classes were matched.
    """
    classes = sorted(places)
    score_NM = np.column_stack([np.logaddexp.reduce(log_NK[:, list(places[index])], axis=1) for index in classes])
    best_N = score_NM.argmax(axis=1)
    owner_K = np.full(log_NK.shape[1], -1)
    for column, index in enumerate(classes):
        owner_K[list(places[index])] = column
    return UntunedAnswers(
        label_set=label_set,
        matched_by=matched_by,
        places=dict(places),
        predicted_N=np.array(classes, dtype=np.int64)[best_N],
        free_N=owner_K[log_NK.argmax(axis=1)] == best_N,
    )


def match_by_answers(log_NK: NDArray[np.float64], label_N: NDArray[np.int64]) -> dict[int, tuple[int, ...]]:
    """Give each class the output that speaks for it most on training images, one to one.

    The assignment with the greatest sum of mean probabilities (Kuhn 1955; scipy's linear_sum_assignment). Classes
    without training images are left out.
    """
    present = np.unique(label_N)
    mean_CK = np.stack([np.exp(log_NK[label_N == index]).mean(axis=0) for index in present])
    rows, columns = linear_sum_assignment(mean_CK, maximize=True)
    return {int(present[row]): (int(column),) for row, column in zip(rows, columns, strict=True)}
