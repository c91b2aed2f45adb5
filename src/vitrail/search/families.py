"""The kinds of heads that a search knows: one line each, one file each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.heads import Fit
from vitrail.search import logistic_trials, neighbour_trials, ridge_trials
from vitrail.search.examples import Examples
from vitrail.search.halving import MLP, SOFTMAX
from vitrail.search.ledger import Ledger
from vitrail.search.options import TuneOptions
from vitrail.search.scored_trial import ScoredTrial


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of head.

    `planned` says how many trials it will have, None where time decides. `rounds` gives trials as they come to their
    end. `fit` trains a setting once more on other rows. `draws` says whether a seed changes anything.
    """

    planned: Callable[[TuneOptions], int | None]
    rounds: Callable[[Examples, TuneOptions, Ledger], Iterator[list[ScoredTrial]]]
    fit: Callable[[Examples, NDArray[np.int64], ScoredTrial, TuneOptions], Fit]
    draws: bool


FAMILIES = {
    "logistic": Family(logistic_trials.planned, logistic_trials.rounds, logistic_trials.fit, draws=False),
    "ridge": Family(ridge_trials.planned, ridge_trials.rounds, ridge_trials.fit, draws=False),
    "centroid": Family(
        neighbour_trials.planned_centroids, neighbour_trials.centroid_rounds, neighbour_trials.fit_centroid, draws=False
    ),
    "knn": Family(
        neighbour_trials.planned_neighbours,
        neighbour_trials.neighbour_rounds,
        neighbour_trials.fit_neighbours,
        draws=False,
    ),
    "softmax": Family(SOFTMAX.planned, SOFTMAX.rounds, SOFTMAX.fit, draws=True),
    "mlp": Family(MLP.planned, MLP.rounds, MLP.fit, draws=True),
}
