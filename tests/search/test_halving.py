from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import qmc

from tests.search.test_tune import FAST, planted
from vitrail.core.errors import UsageError
from vitrail.data import make_split
from vitrail.search import tune
from vitrail.search.examples import gather
from vitrail.search.halving import MLP, SOFTMAX, Choice, Range, draw_settings
from vitrail.search.ledger import Ledger

SPACE = {"rate": Range(1e-4, 1e-2, log=True), "drop": Range(0.5, 0.8), "word": Choice(("a", "b", "c"))}


def test_perceptrons_are_a_quarter_of_the_drawn_heads_unless_they_are_the_only_kind():
    for trials in (1, 4, 7, 64):
        options = replace(FAST, trials=trials)
        assert SOFTMAX.planned(options) + MLP.planned(options) == trials
        assert MLP.planned(options) == trials // 4
        assert MLP.planned(replace(options, kinds=("mlp",))) == trials
    by_default = replace(FAST, trials=None)
    assert (SOFTMAX.planned(by_default), MLP.planned(by_default)) == (12, 4)
    assert MLP.planned(replace(by_default, budget_s=60)) is None


@pytest.mark.parametrize("kind", [SOFTMAX, MLP])
def test_the_better_half_goes_on(kind):
    rows, dataset = planted(400)
    sealed_dataset, split, _ = make_split(dataset)
    examples = gather(rows, split, sealed_dataset)
    options = replace(FAST, kinds=(kind.kind,), trials=4, epochs=14, patience=14)
    trials = [trial for finished in kind.rounds(examples, options, Ledger(None, identity="")) for trial in finished]
    assert sorted(len(trial.curve) for trial in trials) == [4, 4, 12, 14]
    after_4 = {len(trial.curve): min(point.val_loss for point in trial.curve[:4]) for trial in trials}
    assert after_4[4] >= max(after_4[12], after_4[14])


def test_without_rungs_every_head_is_trained_until_it_stops_by_itself():
    rows, dataset = planted(400)
    sealed_dataset, split, _ = make_split(dataset)
    examples = gather(rows, split, sealed_dataset)
    options = replace(FAST, kinds=("softmax",), trials=4, epochs=14, patience=14, rungs=())
    trials = [trial for finished in SOFTMAX.rounds(examples, options, Ledger(None, identity="")) for trial in finished]
    assert [len(trial.curve) for trial in trials] == [14] * 4


@pytest.mark.parametrize("rungs", [(0, 4), (4, 4), (12, 4)])
def test_rungs_that_do_not_rise_are_refused(rungs):
    with pytest.raises(UsageError, match="rungs must rise, from 1 or more"):
        replace(FAST, rungs=rungs)


@pytest.mark.parametrize(("N", "tried"), [(400, False), (2000, True)])
def test_perceptrons_are_tried_beside_others_only_where_there_is_a_val(N, tried):
    rows, dataset = planted(N)
    sealed_dataset, split, _ = make_split(dataset)
    options = replace(FAST, kinds=("softmax", "mlp"), epochs=2, label_curves=False)
    search = tune(rows, split, sealed_dataset, options)
    assert bool(split.val) is tried
    assert ("mlp" in {trial.kind for trial in search.trials}) is tried


def test_more_trials_add_to_those_that_fewer_would_have_tried():
    many = draw_settings(SPACE, start=0, count=64, seed=3)
    assert draw_settings(SPACE, start=0, count=16, seed=3) == many[:16]
    assert draw_settings(SPACE, start=16, count=5, seed=3) == many[16:21]
    assert draw_settings(SPACE, start=0, count=16, seed=4) != many[:16]


def test_every_setting_is_in_its_range_and_every_choice_occurs():
    settings = draw_settings(SPACE, start=0, count=64, seed=0)
    assert all(1e-4 <= setting["rate"] <= 1e-2 and 0.5 <= setting["drop"] <= 0.8 for setting in settings)
    assert {setting["word"] for setting in settings} == {"a", "b", "c"}
    assert np.median([setting["rate"] for setting in settings]) == pytest.approx(1e-3, rel=0.1)


def test_the_points_are_spread_better_than_drawn_ones():
    point_TA = np.array(
        [
            list(setting.values())
            for setting in draw_settings({"x": Range(0, 1), "y": Range(0, 1)}, start=0, count=64, seed=0)
        ]
    )
    drawn_TA = np.random.default_rng(0).random((64, 2))
    assert qmc.discrepancy(point_TA) < qmc.discrepancy(drawn_TA) / 3


def test_one_point_of_a_range_without_width_is_its_only_value():
    assert draw_settings({"x": Range(0.25, 0.25), "y": Range(1e-3, 1e-3, log=True)}, start=0, count=1, seed=0) == [
        {"x": 0.25, "y": 1e-3}
    ]
