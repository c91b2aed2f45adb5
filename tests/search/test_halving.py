from dataclasses import replace

import pytest

from tests.search.test_tune import FAST, planted
from vitrail.data import make_split
from vitrail.search import tune
from vitrail.search.examples import gather
from vitrail.search.halving import MLP, SOFTMAX
from vitrail.search.ledger import Ledger


def test_perceptrons_are_a_quarter_of_what_is_drawn_unless_they_are_all():
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
    found = [trial for ended in kind.rounds(examples, options, Ledger(None, identity="")) for trial in ended]
    assert sorted(len(trial.curve) for trial in found) == [4, 4, 12, 14]
    after_4 = {len(trial.curve): min(point.val_loss for point in trial.curve[:4]) for trial in found}
    assert after_4[4] >= max(after_4[12], after_4[14])


@pytest.mark.parametrize(("N", "tried"), [(400, False), (2000, True)])
def test_perceptrons_are_tried_beside_others_only_where_there_is_a_val(N, tried):
    rows, dataset = planted(N)
    sealed_dataset, split, _ = make_split(dataset)
    options = replace(FAST, kinds=("softmax", "mlp"), epochs=2, label_curves=False)
    found = tune(rows, split, sealed_dataset, options)
    assert bool(split.val) is tried
    assert ("mlp" in {trial.kind for trial in found.trials}) is tried
