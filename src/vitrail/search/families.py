"""The kinds of heads that a search tries: one line each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.heads import Fit
from vitrail.search import logistic_trials
from vitrail.search.closed_form_trials import CENTROID, NEIGHBOURS, RIDGE, AnyFit, ClosedForm
from vitrail.search.examples import Examples
from vitrail.search.halving import MLP, SOFTMAX
from vitrail.search.ledger import Ledger
from vitrail.search.options import TuneOptions
from vitrail.search.scored_trial import ScoredTrial


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of head.

    `planned` gives the number of trials, None if time decides. `rounds` gives trials as they finish. `fit` trains a
    setting once more on other rows, and `refit` the head that is kept. `draws` says whether a seed changes anything,
    `turned` whether `fit` takes its rows from `Examples.turn_rows`.
    """

    planned: Callable[[TuneOptions], int | None]
    rounds: Callable[[Examples, TuneOptions, Ledger], Iterator[list[ScoredTrial]]]
    fit: Callable[[Examples, NDArray[np.int64], ScoredTrial, TuneOptions], Fit]
    refit: Callable[[Examples, NDArray[np.int64], ScoredTrial, TuneOptions], Fit]
    draws: bool
    turned: bool


def _closed_form(form: ClosedForm[AnyFit]) -> Family:
    return Family(form.planned, form.rounds, form.fit, form.fit, draws=False, turned=form.turned)


FAMILIES = {
    "logistic": Family(
        logistic_trials.planned,
        logistic_trials.rounds,
        logistic_trials.fit,
        logistic_trials.refit,
        draws=False,
        turned=True,
    ),
    "ridge": _closed_form(RIDGE),
    "centroid": _closed_form(CENTROID),
    "knn": _closed_form(NEIGHBOURS),
    "softmax": Family(SOFTMAX.planned, SOFTMAX.rounds, SOFTMAX.fit, SOFTMAX.fit, draws=True, turned=False),
    "mlp": Family(MLP.planned, MLP.rounds, MLP.fit, MLP.fit, draws=True, turned=False),
}
