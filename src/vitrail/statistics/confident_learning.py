"""Which labels are probably wrong: confident learning (Northcutt, Jiang and Chuang 2021, arXiv:1911.00068).

From probabilities that each example was given by a model which did not learn from it. A class's threshold is the mean
probability of the class among the examples that carry its label; an example is confidently of the most probable class
among those whose threshold it reaches. Where that is another class than its label, the label is suspect: these are
the off-diagonal entries of the confident joint (section 3.1, equation 1; in cleanlab `filter_by="confident_learning"`).
Thresholds per class make the rule hold where classes are of different difficulty or size.

Letters: N examples, C classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOOR = 1e-6  # of a threshold, as in cleanlab: with no confident example at all, nothing would be off the diagonal


@dataclass(frozen=True, slots=True)
class Suspects:
    """The examples whose label is suspect, the least believable first.

    `row_S` are their rows, `suggested_S` the classes they confidently are of. A label is the less believable, the
    further its probability lies below that of the most probable class.
    """

    row_S: NDArray[np.int64]
    suggested_S: NDArray[np.int64]


def suspect_labels(probability_NC: NDArray[np.float64], label_N: NDArray[np.int64]) -> Suspects:
    """Find the labels that are probably wrong.

    `probability_NC` is out of sample, each row adding up to 1. An example whose label is its most probable class is
    never a suspect, whatever the thresholds.

    Raises:
        ValueError: the shapes do not fit.
    """
    if probability_NC.ndim != 2 or label_N.shape != probability_NC.shape[:1]:
        raise ValueError(f"Probabilities of shape {probability_NC.shape} do not fit labels of shape {label_N.shape}.")
    rows = np.arange(len(label_N))
    confident_NC = np.where(probability_NC >= _thresholds(probability_NC, label_N), probability_NC, -1.0)
    suggested_N = confident_NC.argmax(axis=1)
    best_N = probability_NC.argmax(axis=1)
    is_suspect_N = (confident_NC.max(axis=1) >= 0) & (suggested_N != label_N) & (best_N != label_N)
    row_S = np.flatnonzero(is_suspect_N)
    margin_S = label_margins(probability_NC[row_S], label_N[row_S])
    order = np.lexsort((rows[row_S], margin_S))
    return Suspects(row_S[order].astype(np.int64), suggested_N[row_S][order].astype(np.int64))


def label_margins(probability_NC: NDArray[np.float64], label_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far the probability of each label lies above that of the most probable class: never above 0."""
    margin_N: NDArray[np.float64] = probability_NC[np.arange(len(label_N)), label_N] - probability_NC.max(axis=1)
    return margin_N


def _thresholds(probability_NC: NDArray[np.float64], label_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean probability of each class among the examples of its label; above 1, never reached, where it has none."""
    C = probability_NC.shape[1]
    own_N = probability_NC[np.arange(len(label_N)), label_N]
    count_C = np.bincount(label_N, minlength=C)
    total_C = np.bincount(label_N, weights=own_N, minlength=C)
    return np.where(count_C > 0, np.maximum(total_C / np.maximum(count_C, 1), FLOOR), 2.0)
