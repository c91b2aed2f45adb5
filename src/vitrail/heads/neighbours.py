"""Heads that need no training: the nearest rows vote, or the nearest class mean wins."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import UsageError
from vitrail.heads.head import LinearFit, require_labels
from vitrail.heads.scaling import Scaling, ScalingKind, fit_scaling
from vitrail.heads.scores import Neighbours, unit
from vitrail.heads.temperature import first_temperature

# Letters: N examples, D features, C classes.

WIDTH = 0.07  # of a vote, in cosine: Wu et al. 2018, arXiv:1805.01978, section 3.4


@dataclass(frozen=True, kw_only=True, slots=True)
class NeighbourSetting:
    """`k` rows vote, each with exp(cosine / width); an infinite width gives all votes the same weight."""

    k: int
    width: float = WIDTH

    def __post_init__(self) -> None:
        if self.k < 1 or not self.width > 0:
            raise UsageError(
                f"Neighbours need k of at least 1 and a width above 0, not k = {self.k} and a width of {self.width:g}."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class NeighbourFit:
    """The stored rows. If `setting.k` is above their number, all of them vote."""

    setting: NeighbourSetting
    scaling: Scaling
    scores: Neighbours
    seconds: float

    def logits(self, feature_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of unscaled rows, float64."""
        return self.scores.logits(self.scaling.exact(feature_ND))


@dataclass(frozen=True, kw_only=True, slots=True)
class CentroidFit(LinearFit):
    """A score is minus half the squared distance to the class's mean, without the terms that all classes share.

    So it is linear: x m - |m|^2 / 2. On "l2" features it is the cosine times the length of the mean, minus the second
    term. Weight and bias are divided by `temperature`, which is fitted on the score of each row without itself in its
    class's mean.
    """

    temperature: float


def fit_neighbours(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    classes: int,
    settings: Sequence[NeighbourSetting],
    scaling: ScalingKind = "standardise",
    class_weights: NDArray[np.float64] | None = None,
) -> list[NeighbourFit]:
    """Store the rows, once for all settings; one fit a setting, in their order.

    Args:
        features: N x D, unscaled.
        labels: N class indices in [0, classes).
        classes: the number of classes.
        settings: a k above N means all rows.
        scaling: before the cosine; "l2" and "none" are the same here.
        class_weights: a weight for the votes of each class; None is 1 for all. The k nearest rows are the same.

    Raises:
        DataError: a row has no label in [0, classes).
    """
    require_labels(features, labels, classes)
    start = time.perf_counter()
    fitted = fit_scaling(features, scaling)
    row_ND = unit(fitted.exact(features)).astype(np.float32)
    prior_C = np.full(classes, 1 / classes, dtype=np.float32)
    weight_C = np.ones(classes) if class_weights is None else class_weights
    share = (time.perf_counter() - start) / max(1, len(settings))
    return [
        NeighbourFit(
            setting=setting,
            scaling=fitted,
            scores=Neighbours(
                row_MD=row_ND,
                label_M=labels,
                k_1=np.array([min(setting.k, len(labels))]),
                # A file's numbers are finite; to this width all cosines are the same too.
                width_1=np.array([min(setting.width, 1e30)], dtype=np.float32),
                prior_C=prior_C,
                class_weight_C=weight_C.astype(np.float32),
            ),
            seconds=share,
        )
        for setting in settings
    ]


def fit_centroid(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    classes: int,
    scaling: ScalingKind = "standardise",
) -> CentroidFit:
    """The mean of each class, the same however many examples the classes have.

    Args:
        features: N x D, unscaled.
        labels: N class indices in [0, classes).
        classes: the number of classes; a class without examples is put as far away as the farthest row, so that it is
            never first.

    Raises:
        DataError: a row has no label in [0, classes).
    """
    require_labels(features, labels, classes)
    start = time.perf_counter()
    fitted = fit_scaling(features, scaling)
    scaled_ND = fitted.exact(features)
    count_C = np.bincount(labels, minlength=classes)
    order_N = np.argsort(labels, kind="stable")
    present, first = np.unique(labels[order_N], return_index=True)
    mean_CD = np.zeros((classes, scaled_ND.shape[1]))
    mean_CD[present] = np.add.reduceat(scaled_ND[order_N], first, axis=0) / count_C[present, None]
    farthest = float(np.einsum("nd,nd->n", scaled_ND, scaled_ND).max())
    bias_C = -np.where(count_C > 0, np.einsum("cd,cd->c", mean_CD, mean_CD), 4 * farthest) / 2
    score_NC = _left_out(scaled_ND, labels, mean_CD, bias_C, count_C)
    temperature = first_temperature(score_NC, labels)
    return CentroidFit(
        scaling=fitted,
        weight_CD=mean_CD / temperature,
        bias_C=bias_C / temperature,
        temperature=temperature,
        seconds=time.perf_counter() - start,
    )


def _left_out(
    scaled_ND: NDArray[np.float64],
    label_N: NDArray[np.int64],
    mean_CD: NDArray[np.float64],
    bias_C: NDArray[np.float64],
    count_C: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The scores of each row with the row itself left out of its class's mean: (n m - x) / (n - 1)."""
    score_NC = scaled_ND @ mean_CD.T + bias_C
    row_N = np.arange(len(label_N))
    n_N = count_C[label_N].astype(np.float64)
    others_N = np.maximum(n_N - 1, 1)
    square_N = np.einsum("nd,nd->n", scaled_ND, scaled_ND)
    dot_N = score_NC[row_N, label_N] - bias_C[label_N]
    dot_out_N = (n_N * dot_N - square_N) / others_N
    square_out_N = (n_N**2 * -2 * bias_C[label_N] - 2 * n_N * dot_N + square_N) / others_N**2
    # The only row of its class leaves no mean behind: as far away as a class without examples.
    score_NC[row_N, label_N] = np.where(n_N > 1, dot_out_N - square_out_N / 2, -2 * square_N.max())
    return score_NC
