"""The choice of a pooling for the heads: compared by logistic heads on val, before anything else is tried.

Logistic heads compare the poolings because their fit is the exact solution and does not depend on chance in training.
The default pooling, which is the card's, is tried with the whole path of strengths, each other one with the strengths
near its best. Another pooling wins if its best head is better than the default pooling's by more than one standard
error of the difference, example by example. As in `select`, a tie goes to the simpler choice: here to what the weights
were trained to give.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vitrail.core.progress import Progress, running
from vitrail.search import logistic_trials
from vitrail.search.examples import Examples, PooledRows
from vitrail.search.ledger import BudgetSpent, Ledger
from vitrail.search.options import TuneOptions
from vitrail.search.scored_trial import ScoredTrial, standard_error


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolingChoice:
    """The examples with the chosen pooling, the options that are left to try on it, and the trials of all others."""

    examples: Examples
    options: TuneOptions
    others: tuple[ScoredTrial, ...]


def choose_pooling(
    features: PooledRows,
    gather_pooling: Callable[[str], Examples],
    options: TuneOptions,
    ledger: Ledger,
    progress: Progress,
) -> PoolingChoice:
    """Compare the poolings of one pass.

    Args:
        features: its own `pooling` is the default.
        gather_pooling: gives the examples with the features of one pooling.
        options: if logistic heads are not among the kinds, the default pooling is chosen without a comparison.
        ledger: does each path once; the search that follows finds the path of the chosen pooling in it.
        progress: advances once for each pooling.
    """
    default = features.pooling
    examples = gather_pooling(default)
    compared = [pooling for pooling in features.poolings if pooling != default]
    if not compared or "logistic" not in options.kinds:
        return PoolingChoice(examples=examples, options=options, others=())
    task = f"Poolings of {features.backbone}"
    with running(progress, task, total=len(features.poolings), unit="poolings"):
        try:
            trials = {default: logistic_trials.fit_first_path(examples, options, ledger)}
            near = replace(options, strengths=tuple(logistic_trials.find_near_best(examples, trials[default])))
            progress.advance(task)
            for pooling in compared:
                trials[pooling] = logistic_trials.fit_first_path(gather_pooling(pooling), near, ledger)
                progress.advance(task)
        except BudgetSpent:
            pass  # the ledger notes it; the poolings compared so far decide
    loss = {pooling: [trial.loss(options.metric) for trial in path] for pooling, path in trials.items()}
    best = _best_pooling(loss, default, examples.scored_weights)
    return PoolingChoice(
        examples=examples if best == default else gather_pooling(best),
        options=options if best == default else near,
        others=tuple(
            with_pooling(trial, pooling) for pooling, path in trials.items() if pooling != best for trial in path
        ),
    )


def with_pooling(trial: ScoredTrial, pooling: str) -> ScoredTrial:
    """The trial with its pooling in its setting."""
    return replace(trial, setting=trial.setting | {"pooling": pooling})


def _best_pooling(
    loss: Mapping[str, Sequence[NDArray[np.float64]]], default: str, weight_S: NDArray[np.float64]
) -> str:
    """From the loss of each scored example under every trial of each pooling."""
    least_S = {pooling: min(loss_TS, key=lambda loss_S: float(weight_S @ loss_S)) for pooling, loss_TS in loss.items()}
    best = min(least_S, key=lambda pooling: float(weight_S @ least_S[pooling]))
    gain_S = least_S[default] - least_S[best]
    return best if (weight_S * gain_S).mean() > standard_error(gain_S[None], weight_S)[0] else default
