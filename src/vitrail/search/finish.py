"""The steps after a trial has won: out-of-fold probabilities, temperature, refit, parts, other seeds and splits."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vitrail.data.deal import deal
from vitrail.heads import Fit, Head
from vitrail.heads.head import softmax
from vitrail.heads.temperature import fit_temperature
from vitrail.search.examples import Examples, Holdout
from vitrail.search.families import FAMILIES
from vitrail.search.options import TuneOptions
from vitrail.search.scored_trial import ScoredTrial, score_fits
from vitrail.search.subsets import SubsetScores, score_on_subsets
from vitrail.search.trial import Resplit, Seeded

# Letters: N examples, M examples of a val, C classes.


def out_of_fold(examples: Examples, winner: ScoredTrial, options: TuneOptions) -> tuple[float, NDArray[np.float64]]:
    """The temperature of the winning setting, and its probabilities (N x C) for each example fitted without its fold.

    They are temperature-scaled; the temperature was fitted on these very rows.
    """
    from vitrail.heads.threads import side_by_side

    def fit(fold: Holdout) -> NDArray[np.float64]:
        fitted = FAMILIES[winner.kind].fit(examples, fold.fit, winner, options)
        return examples.score(fitted, fold.score)

    if FAMILIES[winner.kind].turned:
        # As in the search, before the folds share the threads: the rows round differently with fewer of them.
        examples.turn_rows(winner.scaling)
    logit_NC = np.zeros((len(examples.ids), examples.classes))
    for fold, logit_MC in zip(examples.folds, side_by_side(fit, examples.folds), strict=True):
        logit_NC[fold.score] = logit_MC
    temperature = fit_temperature(logit_NC, examples.label_N, examples.class_weights(examples.label_N))
    return temperature, softmax(logit_NC / temperature)


def refit(
    examples: Examples,
    rows: NDArray[np.int64],
    winner: ScoredTrial,
    options: TuneOptions,
    *,
    classes: tuple[str, ...],
    temperature: float,
) -> Head:
    """The winning setting on some rows, as a head."""
    from vitrail.heads.threads import side_by_side

    (fitted,) = side_by_side(lambda rows: FAMILIES[winner.kind].refit(examples, rows, winner, options), [rows])
    epochs: dict[str, float | int | str] = {"epochs": winner.epochs} if winner.epochs else {}
    return Head(
        kind=winner.kind,
        classes=classes,
        scaling=fitted.scaling,
        scores=fitted.scores,
        temperature=temperature,
        setting=winner.setting | epochs,
    )


def choose_kept_rows(examples: Examples, options: TuneOptions) -> NDArray[np.int64]:
    """The rows that the kept head is fitted on: train and val, or train alone if the options do not refit."""
    as_trained = len(examples.holdouts) == 1 and not options.refit
    return examples.holdouts[0].fit if as_trained else np.arange(len(examples.ids))


def fit_on_subsets(
    examples: Examples, winner: ScoredTrial, options: TuneOptions, oof_probability_NC: NDArray[np.float64]
) -> SubsetScores | None:
    """The winning setting fitted on parts of the folds; None if the options ask for no label curves.

    A head that is trained epoch by epoch gets as many steps with fewer images.
    """
    if not options.label_curves:
        return None
    most = float(np.mean([len(holdout.fit) for holdout in examples.holdouts]))

    def train(rows: NDArray[np.int64]) -> Fit:
        as_long = replace(winner, epochs=round(winner.epochs * most / len(rows)))
        return FAMILIES[winner.kind].fit(examples, rows, as_long, options)

    return score_on_subsets(examples, train, oof_probability_NC, seed=options.seed)


def train_under_seeds(examples: Examples, winner: ScoredTrial, options: TuneOptions) -> tuple[Seeded, ...]:
    """The winning setting trained for its epochs under `options.seeds` seeds: the spread of training alone.

    As in Table 2 of the ViT paper (arXiv:2010.11929), which gives mean and deviation over three runs. It does not say
    how the figure would change with other images; the intervals do. Empty for a kind that draws nothing: all results
    would be equal.
    """
    if not FAMILIES[winner.kind].draws:
        return ()
    from vitrail.heads.threads import side_by_side

    def fit(seed: int) -> Seeded:
        fits = [
            FAMILIES[winner.kind].fit(examples, holdout.fit, winner, replace(options, seed=seed))
            for holdout in examples.holdouts
        ]
        nll_S, right_S = score_fits(examples, fits)
        val_nll = float((examples.scored_weights * nll_S).mean())
        return Seeded(seed=seed, val_nll=val_nll, val_accuracy=float(right_S.mean()))

    return tuple(side_by_side(fit, range(options.seed, options.seed + options.seeds)))


def score_on_splits(examples: Examples, winner: ScoredTrial, options: TuneOptions) -> tuple[Resplit, ...]:
    """Fit and score the winning setting on `options.splits` other splits of the same images; `options.seed` draws them.

    A new val is as large as the val that settings were compared on, or as a fold. See `trial.py` for what this covers.
    """
    from vitrail.heads.threads import side_by_side

    def fit(number: int) -> Resplit:
        fit_rows, score_rows = _deal_again(examples, np.random.default_rng([options.seed, number]))
        fitted = FAMILIES[winner.kind].fit(examples, fit_rows, winner, options)
        return Resplit(
            number=number,
            ids=tuple(examples.ids[row] for row in score_rows),
            label_M=examples.label_N[score_rows],
            predicted_M=np.asarray(examples.score(fitted, score_rows).argmax(axis=1), dtype=np.int64),
        )

    return tuple(side_by_side(fit, range(options.splits)))


def _deal_again(examples: Examples, draws: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to fit on and rows to score on."""
    share = float(np.mean([len(holdout.score) for holdout in examples.holdouts])) / len(examples.ids)
    order = draws.permutation(len(examples.ids))
    groups = [str(group) for group in examples.group_N[order]]
    side_N = deal(examples.label_N[order], groups, [1 - share, share])
    return np.sort(order[side_N == 0]), np.sort(order[side_N == 1])
