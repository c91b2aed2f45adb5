from dataclasses import replace

import numpy as np
import pytest

from tests.heads.test_logistic import problem
from vitrail.heads.scores import FORM_OF, Neighbours
from vitrail.search import TuneOptions
from vitrail.search.examples import Examples, Holdout
from vitrail.search.families import FAMILIES
from vitrail.search.scored_trial import ScoredTrial
from vitrail.search.trial import Setting

TRAINED: Setting = {"learning_rate": 1e-2, "dropout": 0.0, "weight_decay": 0.0, "optimiser": "sgd"}
SETTINGS: dict[str, Setting] = {
    "logistic": {"C": 0.01},
    "ridge": {"alpha": 10.0},
    "centroid": {},
    "knn": {"k": 10**6},  # all rows vote: with fewer, copies of a row take the places of others
    "softmax": TRAINED,
    "mlp": TRAINED | {"hidden": 8},
}
WHOLE_BATCHES = TuneOptions(batch=10**6)


def test_every_kind_of_head_has_its_trials_and_the_other_way_round():
    assert list(FAMILIES) == list(FORM_OF)


def uneven_examples(repeats: int, *, balanced: bool) -> Examples:
    """Overlapping classes, the rows of the first as often as said."""
    feature_ND, label_N = problem(160)
    rows = np.repeat(np.arange(160), np.where(label_N == 0, repeats, 1))
    every = np.arange(len(rows))
    holdout = Holdout(every, every, every)
    return Examples(
        tuple(map(str, every)), feature_ND[rows], label_N[rows], every, 4, (holdout,), (holdout,), balanced=balanced
    )


def fit_kind(kind: str, data: Examples, *, strength: float = 1.0):
    """The refit of one setting on all rows; `strength` multiplies that of the regularisation."""
    setting = SETTINGS[kind] | {"scaling": "l2"}  # of each row alone
    if kind == "logistic":
        setting["C"] = float(setting["C"]) / strength
    if kind == "ridge":
        setting["alpha"] = float(setting["alpha"]) * strength
    trial = ScoredTrial(
        kind=kind,
        setting=setting,
        nll_S=np.zeros(1),
        right_S=np.ones(1, dtype=bool),
        weight_norm=0.0,
        epochs=30,
        curve=(),
        seconds=0.0,
    )
    return FAMILIES[kind].refit(data, np.arange(len(data.ids)), trial, WHOLE_BATCHES)


def what_the_fit_is(kind: str, fit, feature_ND: np.ndarray) -> np.ndarray:
    """What class weights determine: without the first temperature, which leaves out one of several copies."""
    logit_NC = fit.logits(feature_ND)
    if isinstance(fit.scores, Neighbours):  # the one extra vote counts less beside more rows
        k = int(fit.scores.k_1[0])
        share_NC = np.exp(logit_NC)
        return ((k + 1) * share_NC - fit.scores.prior_C) / k
    return logit_NC * getattr(fit, "temperature", 1.0)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_balanced_head_does_not_change_when_a_class_is_repeated(kind):
    once, often = (uneven_examples(repeats, balanced=True) for repeats in (1, 20))
    assert isinstance(once.feature_ND, np.ndarray)
    # All classes together weigh as much as there are rows: so must the penalty.
    fits = [fit_kind(kind, once), fit_kind(kind, often, strength=len(often.ids) / len(once.ids))]
    wanted, found = (what_the_fit_is(kind, fit, once.feature_ND) for fit in fits)
    np.testing.assert_allclose(found, wanted, atol=2e-3 if kind in ("softmax", "mlp", "logistic") else 1e-4)


@pytest.mark.parametrize("kind", sorted(set(FAMILIES) - {"centroid"}))
def test_without_the_option_it_does(kind):
    """The negative twin. A class's mean is the same however often its rows are there."""
    once, often = (uneven_examples(repeats, balanced=False) for repeats in (1, 20))
    assert isinstance(once.feature_ND, np.ndarray)
    fits = [fit_kind(kind, once), fit_kind(kind, often, strength=len(often.ids) / len(once.ids))]
    wanted, found = (what_the_fit_is(kind, fit, once.feature_ND) for fit in fits)
    assert np.abs(found - wanted).max() > 0.05


@pytest.mark.parametrize("kind", sorted(set(FAMILIES) - {"centroid"}))  # its temperature alone, in test_tune.py
def test_no_kind_ignores_the_option(kind):
    balanced = uneven_examples(20, balanced=True)
    assert isinstance(balanced.feature_ND, np.ndarray)
    first, second = (
        fit_kind(kind, data).logits(balanced.feature_ND) for data in (balanced, replace(balanced, balanced=False))
    )
    assert np.abs(first - second).max() > 0.01
