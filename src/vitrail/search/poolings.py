"""Which pooling of a pass the heads are fitted on: judged by logistic heads on val, before anything else is tried.

Logistic heads are the judge because their answer is the solution and not luck in training. The card's own pooling gets
the whole path of strengths, each other one the strengths near its best. Another pooling is taken where its best head is
better than the own one's by more than one standard error of the difference, example by example: as with `select`, what
cannot be told apart stays with what is simpler, here with what the weights were trained to give.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vitrail.core.progress import Progress
from vitrail.search import logistic_trials
from vitrail.search.examples import Examples, PooledRows
from vitrail.search.ledger import BudgetSpent, Ledger
from vitrail.search.options import TuneOptions
from vitrail.search.scored_trial import ScoredTrial, class_weights
from vitrail.search.select import standard_error


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolingChoice:
    """The examples with the pooling that was taken, what is left to try on it, and the trials of all others."""

    examples: Examples
    options: TuneOptions
    others: tuple[ScoredTrial, ...]


def choose_pooling(
    features: PooledRows,
    gathered: Callable[[str], Examples],
    options: TuneOptions,
    ledger: Ledger,
    progress: Progress,
) -> PoolingChoice:
    """Compare the poolings of one pass.

    Args:
        features: which poolings there are, and which is the card's own.
        gathered: the examples with the features of one pooling.
        options: of the search; where logistic heads are not among its kinds, the own pooling is taken unseen.
        ledger: does each path once; that of the pooling that is taken is had from it by the search that follows.
        progress: hears of every pooling.

    Returns:
        The choice.
    """
    own = features.pooling
    examples = gathered(own)
    compared = [pooling for pooling in features.poolings if pooling != own]
    if not compared or "logistic" not in options.kinds:
        return PoolingChoice(examples=examples, options=options, others=())
    task = f"Poolings of {features.backbone}"
    progress.start(task, total=len(features.poolings), unit="poolings")
    try:
        found = {own: logistic_trials.first_path(examples, options, ledger)}
        near = replace(options, strengths=tuple(logistic_trials.near_the_best(found[own])))
        progress.advance(task)
        for pooling in compared:
            found[pooling] = logistic_trials.first_path(gathered(pooling), near, ledger)
            progress.advance(task)
    except BudgetSpent:
        pass  # the ledger knows; what was compared until then decides
    progress.done(task)
    weight_S = class_weights(examples.scored_labels, examples.classes) if options.balanced else 1.0
    loss = {pooling: [weight_S * trial.loss(options.metric) for trial in trials] for pooling, trials in found.items()}
    taken = _better(loss, own)
    return PoolingChoice(
        examples=examples if taken == own else gathered(taken),
        options=options if taken == own else near,
        others=tuple(
            named(trial, pooling) for pooling, trials in found.items() if pooling != taken for trial in trials
        ),
    )


def named(trial: ScoredTrial, pooling: str) -> ScoredTrial:
    """The trial with its pooling in its setting."""
    return replace(trial, setting=trial.setting | {"pooling": pooling})


def _better(loss: Mapping[str, Sequence[NDArray[np.float64]]], own: str) -> str:
    """From what each scored example costs under every trial of each pooling."""
    best = {pooling: min(loss_TS, key=np.mean) for pooling, loss_TS in loss.items()}
    taken = min(best, key=lambda pooling: float(best[pooling].mean()))
    gain_S = best[own] - best[taken]
    return taken if gain_S.mean() > standard_error(gain_S[None])[0] else own
