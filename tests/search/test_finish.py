from dataclasses import replace

import numpy as np

from tests.search.test_subsets import examples
from vitrail.search import TuneOptions, spread_of
from vitrail.search.finish import score_on_splits
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
    resplits = score_on_splits(data, NEAREST, TuneOptions(splits=4))
    again = score_on_splits(replace(data, feature_ND=-data.feature_ND[:, ::-1].copy()), NEAREST, TuneOptions(splits=4))
    assert [resplit.ids for resplit in resplits] == [resplit.ids for resplit in again]
    assert len({resplit.ids for resplit in resplits}) == 4
    for resplit in resplits:
        assert np.bincount(resplit.label_M).tolist() == [80] * 8  # as large as the first val of 640
        assert (resplit.label_M == [int(id_) % 8 for id_ in resplit.ids]).all()


def test_groups_stay_whole_or_copies_would_be_recognised():
    """Every image has a copy and labels mean nothing: only a split that parts the copies looks good."""
    data = examples(N=320)
    draws = np.random.default_rng(0)
    copied = np.repeat(np.arange(160), 2)
    label_N = draws.integers(0, 8, 160)[copied]
    twins = replace(data, feature_ND=data.feature_ND[copied], label_N=label_N, group_N=copied)
    whole, parted = (
        spread_of(score_on_splits(data, NEAREST, TuneOptions(splits=5)), 320)
        for data in (twins, replace(twins, group_N=np.arange(320)))
    )
    assert whole.mean < 0.25
    assert parted.mean > 0.5
