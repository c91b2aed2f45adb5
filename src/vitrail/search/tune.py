"""The search on one backbone's features: fit on train, choose on val, refit on both, temperature out of fold."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from vitrail.core.hashing import fingerprint
from vitrail.core.machine import usable_cores
from vitrail.core.progress import Progress, Silent, phase, running
from vitrail.core.torch_threads import torch_threads
from vitrail.heads import CurvePoint
from vitrail.search.curves import make_label_curves
from vitrail.search.examples import Examples, PooledRows, gather
from vitrail.search.families import FAMILIES
from vitrail.search.fewshot import score_few_shots
from vitrail.search.finish import (
    choose_kept_rows,
    fit_on_subsets,
    out_of_fold,
    refit,
    score_on_splits,
    train_under_seeds,
)
from vitrail.search.leave_out import choose_rows_without
from vitrail.search.ledger import BudgetSpent, Ledger
from vitrail.search.memory import measure_need
from vitrail.search.options import TuneOptions
from vitrail.search.poolings import choose_pooling, with_pooling
from vitrail.search.scored_trial import ScoredTrial, choose_winner
from vitrail.search.streamed import search_streamed
from vitrail.search.trial import Search

if TYPE_CHECKING:
    from vitrail.data import Dataset, Split

SEARCH_CODE_VERSION = 3  # bump with any change that moves a trial: finished steps of another version are done again


def tune(
    features: PooledRows,
    split: "Split",
    dataset: "Dataset",
    options: TuneOptions | None = None,
    progress: Progress | None = None,
    *,
    kept_in: Path | None = None,
) -> Search:
    """Search a head for one backbone.

    Args:
        features: the backbone's rows for at least the train and val ids, in every pooling that is to be compared.
        split: train, val and the five folds of both.
        dataset: has no test labels after the split; none are needed.
        kept_in: a folder for finished steps, so that an interrupted search can continue; None stores nothing.

    Returns:
        The search; the same bytes for the same data, options and thread count, except for the seconds. With a time
        budget that holds for the same folder only.
    """
    options, progress = options or TuneOptions(), progress or Silent()
    width = max(features.pooled(pooling).rows(split.train[:1]).shape[1] for pooling in features.poolings)
    need = measure_need(split, width=width, classes=len(dataset.classes))
    rows = {"features": features.key, "pooling": features.pooling, "poolings": features.poolings}
    inputs = {"rows": rows, "split": split.fingerprint, "options": asdict(options), "streamed": not need.fits}
    identity = fingerprint(inputs | {"code": SEARCH_CODE_VERSION})
    ledger = Ledger(kept_in, identity=identity, budget_s=options.budget_s)
    # Products of some hundred rows are done by one thread each, and fits side by side: see heads/threads.py.
    with torch_threads(usable_cores()), threadpool_limits(1 if not split.val else usable_cores(), user_api="blas"):
        if not need.fits:
            with phase(progress, "search"):
                return search_streamed(features, split, dataset, options, ledger, progress, need=need)
        return _search_in_memory(features, split, dataset, options, ledger, progress)


def _search_in_memory(
    features: PooledRows,
    split: "Split",
    dataset: "Dataset",
    options: TuneOptions,
    ledger: Ledger,
    progress: Progress,
) -> Search:
    with phase(progress, "search"):
        choice = choose_pooling(
            features,
            lambda pooling: gather(features.pooled(pooling), split, dataset, balanced=options.balanced),
            options,
            ledger,
            progress,
        )
        examples = choice.examples
        trials = _try_all(examples, choice.options, ledger, progress, task=f"Heads for {features.backbone}")
    if len(features.poolings) > 1:
        trials = [with_pooling(trial, examples.pooling) for trial in trials]
    winner = choose_winner(trials, examples, options.metric)
    with phase(progress, "refits"):
        temperature, probability_NC = out_of_fold(examples, winner, options)
        subsets = fit_on_subsets(examples, winner, options, probability_NC)
        kept_rows = choose_kept_rows(examples, options)
        kept_N = np.isin(np.arange(len(examples.ids)), kept_rows)
        fit_head = partial(refit, winner=winner, options=options, classes=dataset.classes, temperature=temperature)
        without = (
            choose_rows_without(examples, kept_rows, split, dataset, options.leave_out) if options.leave_out else []
        )
        return Search(
            backbone=features.backbone,
            pooling=examples.pooling,
            trials=tuple(trial.summary(examples) for trial in (*trials, *choice.others)),
            winner=winner.summary(examples),
            head=fit_head(examples, kept_rows),
            oof_ids=examples.ids,
            oof_probability_NC=probability_NC,
            curve=_choose_curve(examples, trials, winner),
            seeds=train_under_seeds(examples, winner, options),
            resplits=score_on_splits(examples, winner, options),
            few_shot=score_few_shots(examples, seed=options.seed),
            subsets=subsets,
            kept=int(kept_N.sum()),
            label_curves=make_label_curves(subsets, dataset.classes, kept_N) if subsets else (),
            without=tuple(fit_head(examples.only(rows), np.arange(len(rows))) for rows in without),
            ended_early=ledger.ended_early,
            streamed=False,
            notes=_say_what_has_no_effect(examples, options),
            seconds=ledger.seconds,
            user_s=ledger.user_s,
        )


def _try_all(
    examples: Examples, options: TuneOptions, ledger: Ledger, progress: Progress, *, task: str
) -> list[ScoredTrial]:
    options = replace(options, kinds=_kinds(examples, options))
    families = [FAMILIES[kind] for kind in options.kinds]
    planned = [family.planned(options) for family in families]
    known = [number for number in planned if number is not None]
    with running(progress, task, total=sum(known) if len(known) == len(planned) else None, unit="heads"):
        trials: list[ScoredTrial] = []
        for finished in _in_turn([family.rounds(examples, options, ledger) for family in families]):
            trials.extend(finished)
            progress.advance(task, len(finished))
        if ledger.ended_early:
            progress.note(f"{task}: the time budget ended the search after {len(trials)} trials.")
    return trials


def _kinds(examples: Examples, options: TuneOptions) -> tuple[str, ...]:
    """All kinds; over folds, kinds that are trained step by step only if no other is given, perceptrons last.

    On small data they are no better (benchmarks/small_heads.py), and five trainings of each take longer than all
    others.
    """
    if len(examples.holdouts) == 1:
        return options.kinds
    solved = tuple(kind for kind in options.kinds if not FAMILIES[kind].draws)
    return solved or tuple(kind for kind in options.kinds if kind != "mlp") or options.kinds


def _say_what_has_no_effect(examples: Examples, options: TuneOptions) -> tuple[str, ...]:
    if options.trials is None or any(FAMILIES[kind].draws for kind in _kinds(examples, options)):
        return ()
    if not any(FAMILIES[kind].draws for kind in options.kinds):
        return ()
    return (
        f"The requested number of trials ({options.trials:,}) has no effect: it limits softmax heads and perceptrons, "
        "which are only tried with a val split, so with at least 1,000 images for training.",
    )


def _in_turn(rounds: Sequence[Iterator[list[ScoredTrial]]]) -> Iterator[list[ScoredTrial]]:
    """One round of each family in turn, so that all share a limited budget evenly."""
    going = list(rounds)
    while going:
        still = []
        for family in going:
            try:
                finished = next(family, None)
            except BudgetSpent:
                continue
            if finished is not None:
                yield finished
                still.append(family)
        going = still


def _choose_curve(examples: Examples, trials: Sequence[ScoredTrial], winner: ScoredTrial) -> tuple[CurvePoint, ...]:
    """The winner's curve if it is a softmax head, else that of the best softmax head."""
    if winner.kind == "softmax":
        return winner.curve
    heads = [trial for trial in trials if trial.kind == "softmax" and trial.curve]
    return min(heads, key=lambda trial: trial.mean_nll(examples)).curve if heads else ()
