"""A trial during the search: the losses of every scored example; and which trial wins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import DataError
from vitrail.heads import CurvePoint, Fit, ScalingKind
from vitrail.heads.head import log_softmax
from vitrail.heads.temperature import fit_temperature
from vitrail.search.examples import Examples
from vitrail.search.trial import Setting, Trial

# Letters: S scored examples, C classes, D features, T trials, P parameters.


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredTrial:
    """One setting, fitted and scored on every holdout; `epochs` is how long to train it again.

    `point_P` is the solution of a fit on rows that stay on disk, from which others start; None for all other fits.
    """

    kind: str
    setting: Setting
    nll_S: NDArray[np.float64]
    right_S: NDArray[np.bool_]
    weight_norm: float
    epochs: int
    curve: tuple[CurvePoint, ...]
    seconds: float
    point_P: NDArray[np.float32] | None = None

    @property
    def scaling(self) -> ScalingKind:
        """The scaling in its setting."""
        return self.setting["scaling"]  # type: ignore[return-value]  # the options have checked it

    def loss(self, metric: str) -> NDArray[np.float64]:
        """The loss of each scored example: its negative log likelihood, or 1 if it is wrong."""
        return self.nll_S if metric == "nll" else (~self.right_S).astype(np.float64)

    def mean_nll(self, examples: Examples) -> float:
        """The mean negative log likelihood that the search minimises: with the weights of the examples."""
        return float((examples.scored_weights * self.nll_S).mean())

    def summary(self, examples: Examples) -> Trial:
        """The trial for the results."""
        return Trial(
            kind=self.kind,
            setting=self.setting,
            val_nll=self.mean_nll(examples),
            val_nll_se=float(standard_error(self.nll_S[None], examples.scored_weights)[0]),
            val_accuracy=float(self.right_S.mean()),
            val_balanced_accuracy=float((examples.even_weights * self.right_S).mean()),
            weight_norm=self.weight_norm,
            seconds=self.seconds,
        )


class SolvedFit(Fit, Protocol):
    """A fit that is not trained epoch by epoch."""

    @property
    def seconds(self) -> float:
        """The time that it took."""


def score_solved(
    examples: Examples, fits: Sequence[SolvedFit], *, kind: str, setting: Setting, weight_norm: float
) -> ScoredTrial:
    """The trial of a setting with one such fit for each holdout."""
    nll_S, right_S = score_fits(examples, fits)
    return ScoredTrial(
        kind=kind,
        setting=setting,
        nll_S=nll_S,
        right_S=right_S,
        weight_norm=weight_norm,
        epochs=0,
        curve=(),
        seconds=sum(fit.seconds for fit in fits),
    )


def score_fits(examples: Examples, fits: Sequence[Fit]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Negative log likelihood and correctness of every scored example, from one fit for each holdout.

    NaN and wrong for all if a score is not finite; `select` passes such a trial over.

    The probabilities are temperature-scaled first, with one temperature fitted on these very rows. Otherwise a head
    would be chosen for its temperature, which is corrected later anyway, and kinds whose scores are not log
    probabilities could not be compared at all. One number fitted on some hundred rows flatters by about half an
    example's share of it: 0.5 / S nats.
    """
    pairs = zip(fits, examples.holdouts, strict=True)
    logit_SC = np.concatenate([examples.score(fit, holdout.score) for fit, holdout in pairs])
    label_S = examples.scored_labels
    if not np.isfinite(logit_SC).all():  # a training that diverged
        return np.full(len(label_S), np.nan), np.zeros(len(label_S), np.bool_)
    log_SC = log_softmax(logit_SC / fit_temperature(logit_SC, label_S, examples.class_weights(label_S)))
    nll_S = -np.take_along_axis(log_SC, label_S[:, None], axis=1)[:, 0]
    return nll_S, log_SC.argmax(axis=1) == label_S


def mean_weight_norm(weights: Sequence[NDArray[np.floating]]) -> float:
    """`Trial.weight_norm` from the weight (C x D) on each holdout."""
    return float(np.mean([np.linalg.norm(weight_CD - weight_CD.mean(axis=0)) for weight_CD in weights]))


def choose_winner(trials: Sequence[ScoredTrial], examples: Examples, metric: str) -> ScoredTrial:
    """The winning trial by the loss of the scored examples; see `select`."""
    loss_TS = np.stack([trial.loss(metric) for trial in trials])
    kinds, norms = [trial.kind for trial in trials], [trial.weight_norm for trial in trials]
    return trials[select(loss_TS, kinds, norms, examples.scored_weights)]


def select(
    loss_TS: NDArray[np.float64],
    kind_T: Sequence[str],
    weight_norm_T: Sequence[float],
    weight_S: NDArray[np.float64],
) -> int:
    """The number of the winning trial: the most regularised of those that are not clearly worse than the best.

    Breiman's one-standard-error rule (Breiman et al. 1984, section 3.4.3) takes the simplest trial within one standard
    error of the best mean. He means that mean's own standard error, which on some hundred val examples is wide enough
    to let clearly worse heads through. All trials are scored on the same examples, so the error here is that of the
    difference to the best trial, example by example. A trial is a candidate if its mean difference is at most one such
    error and it is of the best one's kind: only within a kind does the weight norm say which regularises more. The
    least `Trial.weight_norm` among the candidates wins.

    Args:
        loss_TS: the loss of each scored example under each trial: its negative log likelihood, or 1 if it is wrong.
        kind_T: the kind of head of each trial.
        weight_norm_T: its `Trial.weight_norm`.
        weight_S: the weight of each scored example, of mean 1.

    Raises:
        DataError: no trial has finite losses.
    """
    mean_T = (weight_S * loss_TS).mean(axis=1)
    if np.isnan(mean_T).all():
        raise DataError(
            "The scores of every head that was tried are not finite: check the backbone's weights, or leave it out."
        )
    best = int(np.nanargmin(mean_T))
    worse_TS = loss_TS - loss_TS[best]
    error_T = standard_error(worse_TS, weight_S)
    close = np.flatnonzero((weight_S * worse_TS).mean(axis=1) <= error_T).tolist()
    candidates = [trial for trial in close if kind_T[trial] == kind_T[best]]
    return min(candidates, key=lambda trial: (weight_norm_T[trial], mean_T[trial]))


def standard_error(value_TS: NDArray[np.float64], weight_S: NDArray[np.float64]) -> NDArray[np.float64]:
    """The standard error of each row's weighted mean, for weights of mean 1; 0 for a single value.

    The deviations from the mean are weighted, so that a few examples of great weight make it large.
    """
    S = value_TS.shape[1]
    if S < 2:
        return np.zeros(len(value_TS))
    mean_T1 = (weight_S * value_TS).mean(axis=1, keepdims=True)
    result: NDArray[np.float64] = (weight_S * (value_TS - mean_T1)).std(axis=1, ddof=1) / np.sqrt(S)
    return result
