"""Sets of classes that hold the true one as often as promised, whatever the classifier is worth.

A score says how badly a class fits an example. The threshold is a quantile of the scores of the true classes of
calibration examples, one rank up; the set of a new example holds every class whose score does not exceed it. With n
calibration examples exchangeable with the new one, the set misses the true class with a chance of at most alpha, and of
at least alpha - 1 / (n + 1) where scores do not tie (Vovk et al. 2005; Lei et al. 2018, JASA 113:1094-1111).

Letters: N examples, C classes.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitrail.statistics.clustered import group_weights

ScoreKind = Literal["lac", "adaptive"]


def lac_scores(probability_NC: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 less the probability: the sets of least average size (Sadinle et al. 2019, JASA 114:223-234). May be empty."""
    return 1 - probability_NC


def adaptive_scores(probability_NC: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of all more probable classes together: sets grow where the classifier is unsure.

    The score of adaptive prediction sets (Romano et al. 2020, arXiv:2006.02544) without its random part, so that the
    same image always has the same set. The most probable class scores 0 and is in every set: where it is right more
    often than promised, so is the set.

    The scores are N x C; classes of equal probability have equal scores.
    """
    order_NC = np.argsort(-probability_NC, axis=1, kind="stable")
    sorted_NC = np.take_along_axis(probability_NC, order_NC, axis=1)
    before_NC = np.cumsum(sorted_NC, axis=1) - sorted_NC
    tied_NC = np.concatenate([np.zeros((len(sorted_NC), 1), bool), sorted_NC[:, 1:] == sorted_NC[:, :-1]], axis=1)
    # A tied class has before it what the first of its equals has; sums only grow, so a running maximum carries it on.
    before_NC = np.maximum.accumulate(np.where(tied_NC, 0.0, before_NC), axis=1)
    score_NC = np.empty_like(before_NC)
    np.put_along_axis(score_NC, order_NC, before_NC, axis=1)
    return score_NC


SCORES = {"lac": lac_scores, "adaptive": adaptive_scores}


def threshold(
    score_N: NDArray[np.float64], alpha: float, group_N: NDArray[np.int64] | None = None, *, unseen: float = 1.0
) -> float:
    """The score that a true class exceeds with a probability of at most alpha.

    `score_N` are the scores of the true classes of calibration examples. The threshold is the ceil((n + 1) (1 -
    alpha))-th smallest; infinite if there are too few to promise anything.

    With groups each group has weight 1, shared by its examples, and the promise is about an example drawn from a new
    group (Lee, Barber and Willett 2023, arXiv:2306.06342, section 3). The weight `unseen` represents the new example,
    beyond all scores. At 1, a whole group, the promise holds for every number of groups; at the weight of one example
    the rate is close to alpha and may exceed it if groups are few (CDF pooling: Dunn, Wasserman and Ramdas 2022, JASA).
    """
    weight_N = np.ones(len(score_N)) if group_N is None else group_weights(group_N)
    order_N = np.argsort(score_N, kind="stable")
    below_N = np.cumsum(weight_N[order_N])
    rank = int(np.searchsorted(below_N, (below_N[-1] + unseen) * (1 - alpha) - 1e-9)) if len(score_N) else 0
    return float(score_N[order_N[rank]]) if rank < len(score_N) else math.inf


def coverage_range(n: int, alpha: float, level: float = 0.95) -> tuple[float, float]:
    """Where the coverage lies that a threshold from one draw of n calibration examples has for ever after.

    The promise is kept on average over draws; of one draw the coverage is Beta(k, n + 1 - k) distributed, with k the
    rank of the threshold, where scores do not tie (Vovk 2012, arXiv:1209.2673, section 3).

    `n` is how many examples the threshold was set on, `alpha` the promised rate of misses, and `level` how much of the
    distribution the range holds. The range is (1, 1) if n is too small for a threshold, so that every class is in every
    set.
    """
    from scipy import stats

    rank = math.ceil((n + 1) * (1 - alpha) - 1e-9)
    if rank > n:
        return 1.0, 1.0
    coverage = stats.beta(rank, n + 1 - rank)
    return float(coverage.ppf((1 - level) / 2)), float(coverage.ppf((1 + level) / 2))


def class_thresholds(
    score_N: NDArray[np.float64],
    label_N: NDArray[np.int64],
    classes: int,
    alpha: float,
    group_N: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """A threshold a class, so that the promise holds for every class and not on average alone (Vovk 2012).

    `score_N` are the scores of the true classes, `alpha` the promised rate of misses. A class of fewer than 1 / alpha -
    1 examples, or groups, has an infinite threshold and is in every set.
    """
    rows = (label_N == index for index in range(classes))
    return np.array([threshold(score_N[row_N], alpha, None if group_N is None else group_N[row_N]) for row_N in rows])


def true_scores(score_NC: NDArray[np.float64], label_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """The score of each example's true class."""
    return np.take_along_axis(score_NC, label_N[:, None], axis=1)[:, 0]
