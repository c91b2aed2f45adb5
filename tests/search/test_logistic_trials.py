from dataclasses import replace

import numpy as np
import pytest

from tests.heads.test_logistic import problem
from vitrail.heads.logistic import fit_path
from vitrail.search import TuneOptions, logistic_trials
from vitrail.search.examples import Examples, Holdout
from vitrail.search.ledger import Ledger


def five_folds(feature_ND: np.ndarray, label_N: np.ndarray) -> Examples:
    number_N = np.arange(len(label_N)) % 5
    folds = [np.flatnonzero(number_N == fold) for fold in range(5)]
    holdouts = tuple(Holdout(np.flatnonzero(number_N != k), folds[k], folds[(k + 1) % 5]) for k in range(5))
    return Examples(
        ids=tuple(map(str, number_N)),
        feature_ND=feature_ND,
        label_N=label_N,
        group_N=np.arange(len(label_N)),
        classes=int(label_N.max()) + 1,
        holdouts=holdouts,
        folds=holdouts,
    )


def rounds(examples: Examples, **options):
    chosen = TuneOptions(kinds=("logistic",), **options)
    return [trial for trials in logistic_trials.rounds(examples, chosen, Ledger(None, identity="")) for trial in trials]


@pytest.mark.parametrize("features", [12, 400], ids=["more rows", "more features"])
def test_fits_in_shared_axes_are_those_of_each_fold_on_its_own(features):
    feature_ND, label_N = problem(N=200)
    draws = np.random.default_rng(0)
    feature_ND = (feature_ND @ draws.normal(size=(feature_ND.shape[1], features))).astype(np.float32)
    examples = five_folds(feature_ND, label_N)
    (trial,) = rounds(examples, strengths=(0.01,), scalings=("none",))
    for holdout in examples.holdouts:
        rows, labels = examples.take_rows(holdout.fit)
        (exact,) = fit_path(rows, labels, classes=examples.classes, strengths=[0.01], scaling="none")
        found = logistic_trials.fit(examples, holdout.fit, trial, TuneOptions())
        score_ND = examples.feature_ND[holdout.score]
        np.testing.assert_allclose(found.logits(score_ND), exact.logits(score_ND), atol=5e-3)


def test_no_fit_knows_the_labels_of_the_rows_that_score_it():
    """Axes and scaling are made from all rows, and from their features alone: labels of scored rows may be anything."""
    feature_ND, label_N = problem(N=200)
    honest = five_folds(feature_ND, label_N)
    (trial,) = rounds(honest, strengths=(0.1,), scalings=("standardise",))
    for holdout in honest.holdouts:
        poisoned_N = label_N.copy()
        poisoned_N[holdout.score] = (poisoned_N[holdout.score] + 1) % honest.classes
        fits = [
            logistic_trials.fit(examples, holdout.fit, trial, TuneOptions())
            for examples in (honest, five_folds(feature_ND, poisoned_N))
        ]
        np.testing.assert_array_equal(fits[0].weight_CD, fits[1].weight_CD)


def test_labels_that_mean_nothing_score_as_chance_whatever_the_path():
    draws = np.random.default_rng(1)
    examples = five_folds(draws.normal(size=(300, 40)).astype(np.float32), draws.integers(0, 3, 300))
    best = min(rounds(examples), key=lambda trial: trial.nll_S.mean())
    assert best.nll_S.mean() > np.log(3) - 0.02
    assert best.right_S.mean() < 0.42


def test_a_path_goes_both_ways_and_stops_where_val_has_turned():
    examples = five_folds(*problem(N=300))
    every = TuneOptions().strengths
    trials = rounds(examples, scalings=("standardise",))
    tried = [float(trial.setting["C"]) for trial in trials]
    best = min(trials, key=lambda trial: trial.nll_S.mean())
    assert tried == sorted(tried)
    assert len(tried) < len(every)
    assert min(tried) < float(best.setting["C"]) < max(tried)


def test_a_single_strength_is_tried_alone():
    trials = rounds(five_folds(*problem(N=100)), strengths=(3.0,), scalings=("standardise",))
    assert [trial.setting["C"] for trial in trials] == [3.0]


def test_a_balanced_path_is_judged_by_the_mean_over_classes_and_starts_near_its_chance():
    feature_ND, label_N = problem(N=400)
    kept = (label_N != 0) | (np.arange(400) % 20 == 0)
    uneven = five_folds(feature_ND[kept], label_N[kept])
    weak, *_ = rounds(replace(uneven, balanced=True), strengths=(1e-9,), scalings=("l2",))
    chance = np.log(4)  # of four classes that count the same
    assert weak.mean_nll(replace(uneven, balanced=True)) == pytest.approx(chance, rel=0.02)
    assert logistic_trials._is_near_chance(weak, replace(uneven, balanced=True))
    plain, *_ = rounds(uneven, strengths=(1e-9,), scalings=("l2",))
    assert plain.mean_nll(uneven) < 0.9 * chance
    assert logistic_trials._is_near_chance(plain, uneven)
    assert not logistic_trials._is_near_chance(plain, replace(uneven, balanced=True))
