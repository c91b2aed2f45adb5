"""Which trial wins: the most regularised of those that cannot be told from the best."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Letters: N examples, T trials.


def select(loss_TN: NDArray[np.float64], kind_T: Sequence[str], weight_norm_T: Sequence[float]) -> int:
    """The one-standard-error rule, on paired differences.

    Breiman's rule (Breiman et al. 1984, section 3.4.3) takes the simplest trial within one standard error of the best
    mean. Of that mean's own standard error, which on some hundred val examples is wide enough to let clearly worse
    heads through; all trials are scored on the same examples, so the error that counts is that of the difference to
    the best trial, example by example. A trial is a candidate where its mean difference is at most one such error and
    it is of the best one's kind: only there does the length of the weight say which regularises more.

    Args:
        loss_TN: what each scored example costs under each trial: its negative log likelihood, or 1 where it is wrong.
        kind_T: each trial's kind.
        weight_norm_T: each trial's `Trial.weight_norm`; the least among the candidates wins.

    Returns:
        The winner's place.
    """
    mean_T = loss_TN.mean(axis=1)
    best = int(np.argmin(mean_T))
    worse_TN = loss_TN - loss_TN[best]
    error_T = standard_error(worse_TN)
    close = np.flatnonzero(worse_TN.mean(axis=1) <= error_T).tolist()
    candidates = [place for place in close if kind_T[place] == kind_T[best]]
    return min(candidates, key=lambda place: (weight_norm_T[place], mean_T[place]))


def standard_error(value_TN: NDArray[np.float64]) -> NDArray[np.float64]:
    """The standard error of each row's mean; 0 for a single value."""
    N = value_TN.shape[1]
    if N < 2:
        return np.zeros(len(value_TN))
    result: NDArray[np.float64] = value_TN.std(axis=1, ddof=1) / np.sqrt(N)
    return result
