"""Other splits of train and val: the same for all backbones, groups whole, and the spread what it says it is."""

from dataclasses import replace

import numpy as np
import pytest

from tests.search.test_curves import examples
from vitrail.core.errors import UsageError
from vitrail.search import Resplit, TuneOptions, spread_of
from vitrail.search.finish import over_splits
from vitrail.search.scored_trial import ScoredTrial

NEAREST = ScoredTrial(
    kind="knn",
    setting={"scaling": "none", "k": 1, "width": 0.1},
    nll_S=np.zeros(1),
    right_S=np.ones(1, dtype=bool),
    weight_norm=0.0,
    epochs=0,
    curve=(),
    seconds=0.0,
)


def test_splits_are_other_ones_stratified_and_the_same_for_every_backbone():
    data = examples()
    found = over_splits(data, NEAREST, TuneOptions(splits=4))
    again = over_splits(replace(data, feature_ND=-data.feature_ND[:, ::-1].copy()), NEAREST, TuneOptions(splits=4))
    assert [one.ids for one in found] == [one.ids for one in again]
    assert len({one.ids for one in found}) == 4
    for one in found:
        assert np.bincount(one.label_M).tolist() == [80] * 8  # as large as the val of 640 that was chosen on
        assert (one.label_M == [int(id_) % 8 for id_ in one.ids]).all()


def test_groups_stay_whole_or_copies_would_be_recognised():
    """Every image has a copy and labels mean nothing: only a split that parts the copies looks good."""
    data = examples(N=320)
    draws = np.random.default_rng(0)
    copied = np.repeat(np.arange(160), 2)
    label_N = draws.integers(0, 8, 160)[copied]
    twins = replace(data, feature_ND=data.feature_ND[copied], label_N=label_N, group_N=copied)
    whole, parted = (
        spread_of(over_splits(one, NEAREST, TuneOptions(splits=5)), 320)
        for one in (twins, replace(twins, group_N=np.arange(320)))
    )
    assert whole.mean < 0.25
    assert parted.mean > 0.5


def test_the_spread_is_the_deviation_over_splits_with_that_of_the_draw_of_val_beside_it():
    label_M = np.zeros(100, dtype=np.int64)
    resplits = [
        Resplit(number=k, ids=tuple(map(str, range(100))), label_M=label_M, predicted_M=(np.arange(100) >= right) * 1)
        for k, right in enumerate((80, 90))
    ]
    spread = spread_of(resplits, 400)
    assert spread.accuracies == (0.8, 0.9)
    assert (spread.mean, spread.deviation) == pytest.approx((0.85, np.std([0.8, 0.9], ddof=1)))
    assert spread.sampling == pytest.approx((0.85 * 0.15 / 100 * 0.75) ** 0.5)
    assert spread_of([], 400) is None


def test_of_a_setting_that_learns_nothing_the_spread_is_the_draw_of_val_alone():
    """Answers that are right for 70% whatever was learnt, and splits of one pool, a quarter each."""
    draws = np.random.default_rng(1)
    right_N = draws.random(4000) < 0.7
    found = []
    for number in range(200):
        rows = draws.permutation(4000)[:1000]
        found.append(
            Resplit(
                number=number,
                ids=tuple(map(str, rows)),
                label_M=np.ones(1000, dtype=np.int64),
                predicted_M=right_N[rows].astype(np.int64),
            )
        )
    spread = spread_of(found, 4000)
    assert spread.deviation == pytest.approx(spread.sampling, rel=0.12)
    assert abs(spread.deviation / (0.7 * 0.3 / 1000) ** 0.5 - 1) > 0.06  # the twin: as if val came from everywhere


def test_one_split_has_no_spread():
    with pytest.raises(UsageError, match="none or at least 2"):
        TuneOptions(splits=1)
