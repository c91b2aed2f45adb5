"""One temperature for all classes (Guo et al. 2017, arXiv:1706.04599), from logits of examples not fitted on."""

import numpy as np
from numpy.typing import NDArray

from vitrail.heads.head import log_softmax

# Letters: N examples, C classes.

LOW, HIGH = 1e-3, 1e3  # of 1 / temperature
STEPS = 200
PRECISION = 1e-12
FEW = 2000


def fit_temperature(
    logit_NC: NDArray[np.float64], label_N: NDArray[np.int64], class_weights: NDArray[np.float64] | None = None
) -> float:
    """The temperature with the least negative log likelihood on these logits, in [0.001, 1000]; 1 without information.

    The loss is convex in 1 / temperature, so that Newton's steps, kept inside a shrinking bracket, find its only
    minimum. If no example is wrong there would be none: a lower temperature would always be better. So labels are
    smoothed as Platt did for the same reason (Platt 1999, section 2.2): with N examples a label keeps
    (N + 1) / (N + 2), the other classes share the rest. For a thousand examples this moves a temperature by far less
    than its own uncertainty. With `class_weights`, one for the examples of each class, the likelihood is weighted and N
    is Kish's effective number of examples (Kish 1965, section 11.7): a few of great weight tell no more than a few.
    """
    N, C = logit_NC.shape
    if N == 0 or np.ptp(logit_NC, axis=1).max() == 0:
        return 1.0
    weight_N = np.ones(N) if class_weights is None else class_weights[label_N]
    share_N = weight_N / weight_N.sum()
    smoothing = 1 / (1 / float(share_N @ share_N) + 2)
    true_N = logit_NC[np.arange(N), label_N]
    other_N = (logit_NC.sum(axis=1) - true_N) / (C - 1)
    target = float(share_N @ ((1 - smoothing) * true_N + smoothing * other_N))
    low, high, inverse = LOW, HIGH, 1.0
    for _ in range(STEPS):
        slope, curvature = _derivatives(logit_NC, share_N, inverse, target)
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        step = inverse - slope / curvature if curvature > 0 else np.nan
        following = step if low < step < high else (low * high) ** 0.5
        if abs(following - inverse) <= PRECISION * inverse:
            break
        inverse = following
    return float(1 / inverse)


def first_temperature(score_NC: NDArray[np.float64], label_N: NDArray[np.int64]) -> float:
    """The temperature of scores that are not logits, from at most `FEW` rows, evenly spaced, that were not fitted on.

    Ridge and centroid heads divide their weights by it, so that their scores can be compared with logits; the
    temperature of the chosen head, from all out-of-fold rows, is applied in addition. It has no class weights: the
    first temperatures of the folds and of the refit must agree, and those of a few rows of great weight would not.
    """
    row_N = np.linspace(0, len(label_N) - 1, min(FEW, len(label_N))).astype(np.int64)
    return fit_temperature(score_NC[row_N].astype(np.float64), label_N[row_N])


def _derivatives(
    logit_NC: NDArray[np.float64], share_N: NDArray[np.float64], inverse: float, target: float
) -> tuple[float, float]:
    """First and second derivative of the weighted mean of the negative log likelihood in the inverse temperature."""
    probability_NC = np.exp(log_softmax(logit_NC * inverse))
    mean_N = (probability_NC * logit_NC).sum(axis=1)
    variance_N = (probability_NC * (logit_NC - mean_N[:, None]) ** 2).sum(axis=1)
    return float(share_N @ mean_N) - target, float(share_N @ variance_N)
