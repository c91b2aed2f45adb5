"""A fitted head, whichever way it was fitted, and its probabilities; what every way of fitting has in common."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import DataError
from vitrail.heads.scaling import Scaling
from vitrail.heads.scores import AnyScores, Array, Linear

# Letters: N examples, D features, C classes.


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """A fitted classifier on features, with its temperature.

    probability_NC = softmax(scores.logits(scaling.exact(feature_ND)) / temperature)
    `kind` is one of `scores.FORM_OF`, the table that gives each kind the form of its `scores`.
    """

    kind: str
    classes: tuple[str, ...]
    scaling: Scaling
    scores: AnyScores
    temperature: float
    setting: dict[str, float | int | str]

    def tensors(self) -> dict[str, Array]:
        """Every array of the head by its name in a head file."""
        return {"mean": self.scaling.mean_D, "scale": self.scaling.scale_D} | self.scores.tensors()


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """One epoch of a head that is trained epoch by epoch.

    The train figures are means over the epoch's batches while the weights were moving and dropout was on, as Keras
    prints them; the val figures are those at the epoch's end, without dropout. Losses in nats, accuracies as fractions.
    With class weights the losses are weighted.
    """

    epoch: int
    train_loss: float
    val_loss: float
    train_accuracy: float
    val_accuracy: float


class StoredRows(Protocol):
    """Rows that are read when they are indexed."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.float32]:
        """The rows with these numbers, in this order."""


class Fit(Protocol):
    """The result of every way of fitting: a `Head` is made from it."""

    @property
    def scaling(self) -> Scaling:
        """Fitted on the rows that the head was fitted on."""

    @property
    def scores(self) -> AnyScores:
        """On scaled features."""

    def logits(self, feature_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of unscaled rows, float64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearFit:
    """A linear head on scaled features."""

    scaling: Scaling
    weight_CD: NDArray[np.float64]
    bias_C: NDArray[np.float64]
    seconds: float

    @property
    def scores(self) -> Linear:
        """The form of a `Head`."""
        return Linear(weight_CD=self.weight_CD, bias_C=self.bias_C)

    def logits(self, feature_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of unscaled rows, float64."""
        return self.scores.logits(self.scaling.exact(feature_ND))


def logits(head: Head, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The scores of every class before the temperature, N x C, for N x D features.

    Computed in float64, so that a row's scores do not depend on other rows.

    Raises:
        DataError: the features are not rows of the head's width, or they or the scores are not finite.
    """
    if features.ndim != 2 or features.shape[1] != len(head.scaling.mean_D):
        raise DataError(
            f"This head takes rows of {len(head.scaling.mean_D)} features, but got an array of shape "
            f"{features.shape}: give it features of the backbone that it was fitted on."
        )
    logit_NC = head.scores.logits(head.scaling.exact(features))
    finite_N = np.isfinite(logit_NC).all(axis=1)
    if not finite_N.all():
        raise DataError(
            f"The scores of {np.count_nonzero(~finite_N)} of {len(logit_NC)} rows are not finite: check that the "
            "features are, and that they are those of the backbone that this head was fitted on."
        )
    return logit_NC


def probabilities(head: Head, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The temperature-scaled probability of every class, N x C; rows sum to 1."""
    return softmax(logits(head, features) / head.temperature)


def softmax(logit_NC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores to probabilities, row by row."""
    return np.exp(log_softmax(logit_NC))


def log_softmax(logit_NC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores to log probabilities, row by row; finite wherever the scores are."""
    shifted_NC = logit_NC - logit_NC.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted_NC - np.log(np.exp(shifted_NC).sum(axis=1, keepdims=True))
    return result


def require_labels(features: NDArray[np.floating], labels: NDArray[np.int64], classes: int) -> None:
    """Check that each row of features has a label in [0, classes).

    Raises:
        DataError: the shapes do not match, or a label is outside this range.
    """
    if features.ndim != 2 or len(features) != len(labels) or not len(labels):
        raise DataError(
            f"A head needs a label for each row of features, but got features of shape {features.shape} and "
            f"{len(labels)} labels: check what the labels were made from."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"A head of {classes} classes needs labels in [0, {classes}), but they lie in [{labels.min()}, "
            f"{labels.max()}]: check what the labels were made from."
        )


def balanced_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """For each class the weight N / (C' count), as scikit-learn's class_weight="balanced"; C' classes have examples.

    The weights of all rows have mean 1, so that a strength or a learning rate keeps its meaning. A class without
    examples has weight 0.
    """
    count_C = np.bincount(labels, minlength=classes)
    return np.where(count_C > 0, len(labels) / (np.count_nonzero(count_C) * np.maximum(count_C, 1)), 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """The probabilities of one backbone for every test or calibration example: a row each, in the order of `ids`."""

    name: str
    ids: tuple[str, ...] = field(repr=False)
    label_N: NDArray[np.int64] = field(repr=False)
    probability_NC: NDArray[np.float64] = field(repr=False)
