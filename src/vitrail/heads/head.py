"""What a fitted head is, whichever way it was fitted, and what it says of features."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import DataError
from vitrail.heads.scaling import Scaling
from vitrail.heads.scores import AnyScores, Array

# Letters: N examples, D features, C classes.


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """A fitted classifier on features, with its temperature.

    probability_NC = softmax(scores.logits(scaling.apply(feature_ND)) / temperature)
    `kind` is one of `scores.FORM_OF`, which says what form `scores` has: a linear head's has `weight_CD` and `bias_C`.
    `setting` is what the search chose.
    """

    kind: str
    classes: tuple[str, ...]
    scaling: Scaling
    scores: AnyScores
    temperature: float
    setting: dict[str, float | int | str]

    def tensors(self) -> dict[str, Array]:
        """Every array of the head by its name, as a file keeps it."""
        return {"mean": self.scaling.mean_D, "scale": self.scaling.scale_D} | self.scores.tensors()


class Fit(Protocol):
    """What every way of fitting gives: a scaling and scores, from which a `Head` is made."""

    @property
    def scaling(self) -> Scaling:
        """Fitted on the rows that the head was fitted on."""

    @property
    def scores(self) -> AnyScores:
        """On scaled features."""

    def logits(self, feature_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of unscaled rows, float64."""


def logits(head: Head, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The scores of every class before the temperature.

    Computed in float64, so that a row's scores do not depend on which rows are asked for with it.

    Args:
        head: the head.
        features: N x D, rows of the backbone that the head was fitted on.

    Returns:
        N x C.

    Raises:
        DataError: the features are not rows of the head's width.
    """
    if features.ndim != 2 or features.shape[1] != len(head.scaling.mean_D):
        raise DataError(
            f"This head takes rows of {len(head.scaling.mean_D)} features, but got an array of shape "
            f"{features.shape}: give it features of the backbone that it was fitted on."
        )
    return head.scores.logits(head.scaling.exact(features))


def probabilities(head: Head, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The calibrated probability of every class, N x C; rows sum to 1."""
    return softmax(logits(head, features) / head.temperature)


def softmax(logit_NC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores to probabilities, row by row."""
    return np.exp(log_softmax(logit_NC))


def log_softmax(logit_NC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores to log probabilities, row by row; finite wherever the scores are."""
    shifted_NC = logit_NC - logit_NC.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted_NC - np.log(np.exp(shifted_NC).sum(axis=1, keepdims=True))
    return result
