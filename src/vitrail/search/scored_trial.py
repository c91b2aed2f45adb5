"""A trial while the search goes on: how every scored example fared under it, and what it takes to train it again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.heads import CurvePoint, Fit
from vitrail.heads.head import log_softmax
from vitrail.heads.temperature import fit_temperature
from vitrail.search.examples import Examples
from vitrail.search.select import standard_error
from vitrail.search.trial import Setting, Trial

# Letters: S scored examples, D features, C classes.


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredTrial:
    """One setting, fitted on every choice and scored on its other part; `epochs` is how long to train it again."""

    kind: str
    setting: Setting
    nll_S: NDArray[np.float64]
    right_S: NDArray[np.bool_]
    weight_norm: float
    epochs: int
    curve: tuple[CurvePoint, ...]
    seconds: float

    def loss(self, metric: str) -> NDArray[np.float64]:
        """What each scored example costs: its negative log likelihood, or 1 where it is wrong."""
        return self.nll_S if metric == "nll" else (~self.right_S).astype(np.float64)

    def summary(self, weight_S: NDArray[np.float64]) -> Trial:
        """The trial as it is kept; `weight_S` (of mean 1) is what each example counts in the balanced accuracy."""
        return Trial(
            kind=self.kind,
            setting=self.setting,
            val_nll=float(self.nll_S.mean()),
            val_nll_se=float(standard_error(self.nll_S[None])[0]),
            val_accuracy=float(self.right_S.mean()),
            val_balanced_accuracy=float((weight_S * self.right_S).mean()),
            weight_norm=self.weight_norm,
            seconds=self.seconds,
        )


def score(examples: Examples, fits: Sequence[Fit]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Negative log likelihood and correctness of every scored example, one choice after the other.

    The probabilities are calibrated first, with one temperature fitted on these very rows. Otherwise a head would be
    chosen for its temperature, which is corrected later whatever it is, and kinds whose scores are no log
    probabilities could not be compared at all. One number fitted on some hundred rows flatters by about half an
    example's share of it: 0.5 / S nats.

    Args:
        examples: what was fitted on.
        fits: one a choice.

    Returns:
        Two rows of S.
    """
    parts = zip(fits, examples.holdouts, strict=True)
    logit_SC = np.concatenate([fit.logits(examples.feature_ND[holdout.score]) for fit, holdout in parts])
    label_S = examples.scored_labels
    log_SC = log_softmax(logit_SC / fit_temperature(logit_SC, label_S))
    nll_S = -np.take_along_axis(log_SC, label_S[:, None], axis=1)[:, 0]
    return nll_S, log_SC.argmax(axis=1) == label_S


def weight_norm(weights: Sequence[NDArray[np.floating]]) -> float:
    """See `Trial.weight_norm`; the mean over the choices."""
    return float(np.mean([np.linalg.norm(weight_CD - weight_CD.mean(axis=0)) for weight_CD in weights]))


def class_weights(label_S: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """What each example counts where every class counts the same; of mean 1. Classes without examples count nothing."""
    count_C = np.bincount(label_S, minlength=classes)
    weight_S: NDArray[np.float64] = len(label_S) / (np.count_nonzero(count_C) * count_C[label_S])
    return weight_S
