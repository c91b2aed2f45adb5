"""Figures of a classifier on labelled examples, each with its interval.

Labels and predictions are class indices from 0; probabilities are float64, N x C. Balanced accuracy leaves out classes
without examples, macro F1 classes that are neither label nor prediction. Both definitions are scikit-learn's.

Their intervals treat every example as one draw, or every group if `group_N` numbers them (0 to G - 1, at least two; see
`clustered.py`). The bootstrap, stratified or not, was measured and not chosen: small classes lose their variance in it,
and its macro F1 is biased a second time (84% coverage of a promised 95% at 120 classes of 8 examples).
"""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vitrail.statistics.clustered import clustered_mean, clustered_n, clustered_rate
from vitrail.statistics.intervals import LEVEL, Interval, effective_wilson, mean_interval, normal_quantile, wilson

# Letters: N examples, C classes, G groups. `group_N` is None if examples are independent.

Groups = NDArray[np.int64] | None

DecideBy = Literal["top1", "balanced"]  # the accuracies that a run may decide by
DECIDE_BY: tuple[DecideBy, ...] = get_args(DecideBy)

LEAST_PROBABILITY = float(np.finfo(np.float64).eps)  # as scikit-learn's log_loss; no NLL exceeds 36.04 nats


def fault_of_decide_by(name: str) -> str | None:
    """Why no run can decide by this name, as a sentence; None if it can."""
    if name in DECIDE_BY:
        return None
    return f"There is no accuracy {name!r} to decide by: choose {' or '.join(DECIDE_BY)}."


def rank_of_label(probability_NC: NDArray[np.float64], label_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many classes come before the true one, from the most probable on.

    Of equally probable classes the one listed first comes first, so that rank 0 is what argmax says.
    """
    true_N1 = np.take_along_axis(probability_NC, label_N[:, None], axis=1)
    earlier_NC = np.arange(probability_NC.shape[1])[None, :] < label_N[:, None]
    ahead_NC = (probability_NC > true_N1) | ((probability_NC == true_N1) & earlier_NC)
    return np.asarray(ahead_NC.sum(axis=1), dtype=np.int64)


def top_k_correct(probability_NC: NDArray[np.float64], label_N: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Whether the true class is among the k most probable."""
    return rank_of_label(probability_NC, label_N) < k


def rate(correct_N: NDArray[np.bool_], group_N: Groups = None, *, level: float = LEVEL) -> Interval:
    """The share of examples that count, with Wilson's interval, by group where there are groups of two or more."""
    if group_N is None or len(np.unique(group_N)) == len(group_N):
        return wilson(int(correct_N.sum()), len(correct_N), level)
    return clustered_rate(correct_N, group_N, level)


def top_k(
    probability_NC: NDArray[np.float64],
    label_N: NDArray[np.int64],
    k: int,
    *,
    group_N: Groups = None,
    level: float = LEVEL,
) -> Interval | None:
    """The rate of examples whose class is among the k most probable; None if there are at most k classes."""
    if probability_NC.shape[1] <= k:
        return None
    return rate(top_k_correct(probability_NC, label_N, k), group_N, level=level)


def nll(
    probability_NC: NDArray[np.float64], label_N: NDArray[np.int64], *, group_N: Groups = None, level: float = LEVEL
) -> Interval:
    """The mean negative log probability of the true class, in nats."""
    true_N = np.take_along_axis(probability_NC, label_N[:, None], axis=1)[:, 0]
    loss_N = -np.log(np.clip(true_N, LEAST_PROBABILITY, 1.0))
    return _mean(loss_N, group_N, highest=-float(np.log(LEAST_PROBABILITY)), level=level)


def brier(
    probability_NC: NDArray[np.float64], label_N: NDArray[np.int64], *, group_N: Groups = None, level: float = LEVEL
) -> Interval:
    """The Brier score over all classes, in [0, 2]: the squared distance from the probabilities to the one-hot label.

    Brier's own definition (1950, Monthly Weather Review 78:1-3), not the half of it that two-class libraries print.
    """
    true_N = np.take_along_axis(probability_NC, label_N[:, None], axis=1)[:, 0]
    distance_N = np.einsum("nc,nc->n", probability_NC, probability_NC) - 2 * true_N + 1
    return _mean(distance_N, group_N, highest=2.0, level=level)


def _mean(value_N: NDArray[np.float64], group_N: Groups, *, highest: float, level: float) -> Interval:
    if group_N is None:
        return mean_interval(value_N, lowest=0.0, highest=highest, level=level)
    return clustered_mean(value_N, group_N, lowest=0.0, highest=highest, level=level)


def balanced_accuracy(
    label_N: NDArray[np.int64], correct_N: NDArray[np.bool_], *, group_N: Groups = None, level: float = LEVEL
) -> Interval:
    """The mean over classes of the share of their examples that were recognised.

    Its variance is that of a mean of independent rates with fixed class counts. Each rate is first pulled towards their
    mean by z^2 pseudo-examples: a class of 8 without an observed error may still have errors. If most of the variance
    comes from a few small classes, or from classes with few groups, the estimate is as uncertain as these are:
    Student's quantile at Satterthwaite's degrees of freedom (1946, Biometrics Bulletin 2:110-114) then replaces the
    normal one. If errors are rare, the smallest class may have some and show none: so one more error is counted, at the
    weight of its examples, as for paired differences (`weighted.py`).

    The interval is Wilson's at the effective number of examples.
    """
    labels_C, hits_C = _recalls(label_N, correct_N)
    units_C = labels_C if group_N is None else _groups_of(label_N, group_N, len(labels_C))
    present_C = labels_C > 0
    labels_C, hits_C, units_C = labels_C[present_C], hits_C[present_C], units_C[present_C]
    value = float((hits_C / labels_C).mean())
    pseudo = normal_quantile(level) ** 2
    smooth_C = (hits_C + pseudo * value) / (labels_C + pseudo)
    variance_C = smooth_C * (1 - smooth_C) / labels_C
    variance = float(variance_C.sum()) / len(labels_C) ** 2
    heaviest = 1 / (len(labels_C) * float(labels_C.min()))
    n_effective = (value * (1 - value) + heaviest) / (variance + heaviest**2)
    if variance > 0:
        n_effective *= _few_classes(variance_C, units_C, level)
    influence_N = _accuracy_influence(label_N, correct_N, group_N, pseudo)
    return _effective(value, n_effective, influence_N, group_N, level)


def macro_f1(
    label_N: NDArray[np.int64],
    predicted_N: NDArray[np.int64],
    classes: int,
    *,
    group_N: Groups = None,
    level: float = LEVEL,
) -> Interval:
    """The mean over classes of F1: 2 hits / (examples of the class + predictions of it).

    Its variance is the delta method's: the sum over examples of the square of what each moves the mean by, on a
    confusion table smoothed as for balanced accuracy. With four groups a class the interval by group covers 89% of a
    promised 95%, with twelve 94% (benchmarks/coverage.py).

    The interval is Wilson's at the effective number of examples.
    """
    labels_C, hits_C, guesses_C = _counts(label_N, predicted_N, classes)
    used_C = labels_C + guesses_C > 0
    value = float((2 * hits_C[used_C] / (labels_C + guesses_C)[used_C]).mean())
    smooth, variance = _smooth_f1(label_N, predicted_N, classes, level)
    # With every example right, or every one wrong, both are zero: take the limit of their quotient.
    mixed = 0 < hits_C.sum() < len(label_N)
    n_effective = smooth * (1 - smooth) / variance if mixed else _even_n(labels_C[labels_C > 0])
    return _effective(value, n_effective, _f1_influence(label_N, predicted_N, classes, group_N), group_N, level)


def _effective(
    value: float, n_effective: float, influence_N: NDArray[np.float64], group_N: Groups, level: float
) -> Interval:
    n = len(influence_N)
    if group_N is None:
        return effective_wilson(value, n_effective, n=n, level=level)
    interval = effective_wilson(value, clustered_n(n_effective, influence_N, group_N, level), n=n, level=level)
    return replace(interval, method=f"{interval.method}, by group")


def _accuracy_influence(
    label_N: NDArray[np.int64], correct_N: NDArray[np.bool_], group_N: Groups, pseudo: float
) -> NDArray[np.float64]:
    """What each example moves the balanced accuracy by, up to a factor.

    A class of one group shows no difference between groups; its rate is drawn towards the mean by `pseudo` groups of
    its own size, so that its difference counts as chance of that group.
    """
    labels_C, hits_C = _recalls(label_N, correct_N)
    if group_N is None or not 0 < hits_C.sum() < len(label_N):
        return np.zeros(len(label_N))
    present_C = labels_C > 0
    rate_C = hits_C / np.maximum(labels_C, 1)
    groups_C = _groups_of(label_N, group_N, len(labels_C))
    smooth_C = (rate_C * groups_C + float(rate_C[present_C].mean()) * pseudo) / (groups_C + pseudo)
    return np.asarray((correct_N - smooth_C[label_N]) / labels_C[label_N])


def _f1_influence(
    label_N: NDArray[np.int64], predicted_N: NDArray[np.int64], classes: int, group_N: Groups
) -> NDArray[np.float64]:
    """What each example moves macro F1 by, up to a factor: they sum to 0, as F1 is of degree 0 in the counts.

    Where a class has few groups, what they differ by is underestimated by its share of one of them.
    """
    labels_C, hits_C, guesses_C = _counts(label_N, predicted_N, classes)
    if group_N is None or not 0 < hits_C.sum() < len(label_N):
        return np.zeros(len(label_N))
    both_C = np.maximum(labels_C + guesses_C, 1.0)
    slope_C, gain_C = -2 * hits_C / both_C**2, 2 / both_C
    moved_N = slope_C[label_N] + slope_C[predicted_N] + np.where(label_N == predicted_N, gain_C[label_N], 0.0)
    groups_C = _groups_of(label_N, group_N, classes)
    return np.asarray(moved_N * np.sqrt(groups_C / np.maximum(groups_C - 1, 1))[label_N])


def _groups_of(label_N: NDArray[np.int64], group_N: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """From how many groups the examples of each class come."""
    groups = int(group_N.max()) + 1
    return np.bincount(np.unique(label_N * groups + group_N) // groups, minlength=classes)


def _smooth_f1(
    label_N: NDArray[np.int64], predicted_N: NDArray[np.int64], classes: int, level: float
) -> tuple[float, float]:
    """Macro F1 of the smoothed table and its variance.

    A class of n examples keeps n of them, and z^2 in n + z^2 are pseudo-examples: recognised at the mean rate,
    otherwise predicted as each other class equally often. The table is never built: it has C^2 cells, and at most N are
    filled.
    """
    labels_C, hits_C, guesses_C = _counts(label_N, predicted_N, classes)
    used_C = labels_C + guesses_C > 0
    pseudo = normal_quantile(level) ** 2
    kept_C = labels_C / (labels_C + pseudo)
    pseudo_C = labels_C - kept_C * labels_C
    right = float((hits_C[labels_C > 0] / labels_C[labels_C > 0]).mean())
    wrong = (1 - right) / max(1, classes - 1)
    hits_C = kept_C * hits_C + pseudo_C * right
    kept_guesses_C = np.bincount(predicted_N, weights=kept_C[label_N], minlength=classes)
    pseudo_guesses_C = wrong * (pseudo_C.sum() - pseudo_C) + right * pseudo_C
    both_C = np.where(used_C, labels_C + kept_guesses_C + pseudo_guesses_C, 1.0)
    # F1 = 2 hits / both. An example adds 1 to `both` of its label and of its prediction, which moves F1 by `slope`
    # each; where the two agree it adds a hit, which moves F1 by `gain`.
    slope_C, gain_C = np.where(used_C, -2 * hits_C / both_C**2, 0.0), np.where(used_C, 2 / both_C, 0.0)
    moved_N = slope_C[label_N] + slope_C[predicted_N] + np.where(label_N == predicted_N, gain_C[label_N], 0.0)
    others_C = slope_C.sum() - slope_C
    other_squares_C = (slope_C**2).sum() - slope_C**2
    missed_C = (classes - 1) * slope_C**2 + 2 * slope_C * others_C + other_squares_C
    squares = float((kept_C[label_N] * moved_N**2).sum())
    squares += float((pseudo_C * (right * (2 * slope_C + gain_C) ** 2 + wrong * missed_C)).sum())
    value = float((2 * hits_C[used_C] / both_C[used_C]).mean())
    n = len(label_N)
    return value, squares / int(used_C.sum()) ** 2 * n / max(1, n - 1)


def _counts(
    label_N: NDArray[np.int64], predicted_N: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """For each class: examples, recognised examples, predictions."""
    labels_C = np.bincount(label_N, minlength=classes)
    hits_C = np.bincount(label_N[label_N == predicted_N], minlength=classes)
    guesses_C = np.bincount(predicted_N, minlength=classes)
    return labels_C.astype(np.float64), hits_C.astype(np.float64), guesses_C.astype(np.float64)


def _recalls(
    label_N: NDArray[np.int64], correct_N: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each class up to the last with an example: examples, recognised examples."""
    labels_C, hits_C = np.bincount(label_N), np.bincount(label_N, weights=correct_N)
    return labels_C.astype(np.float64), hits_C.astype(np.float64)


def _few_classes(
    variance_C: NDArray[np.float64], units_C: NDArray[np.float64] | NDArray[np.int64], level: float
) -> float:
    """The factor to an effective number of examples for variances that were estimated from few examples, or groups."""
    freedom = float(variance_C.sum() ** 2 / (variance_C**2 / np.maximum(units_C - 1, 1)).sum())
    return float(normal_quantile(level) / stats.t.ppf((1 + level) / 2, freedom)) ** 2


def _even_n(labels_C: NDArray[np.float64]) -> float:
    """The effective number of examples where all classes are alike: all of them where classes are of one size."""
    return len(labels_C) ** 2 / float((1 / labels_C).sum())
