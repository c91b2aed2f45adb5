import numpy as np
import pytest

from tests.search.test_subsets import examples
from vitrail.search.examples import Examples
from vitrail.search.families import FAMILIES
from vitrail.search.finish import refit
from vitrail.search.options import TuneOptions
from vitrail.search.scored_trial import ScoredTrial


def winner(kind: str, **setting: float | str) -> ScoredTrial:
    return ScoredTrial(
        kind=kind,
        setting={"scaling": "standardise", **setting},
        nll_S=np.zeros(1),
        right_S=np.ones(1, dtype=bool),
        weight_norm=0.0,
        epochs=2 if FAMILIES[kind].draws else 0,
        curve=(),
        seconds=0.0,
    )


SETTINGS = {"logistic": {"C": 0.1}, "ridge": {"alpha": 10.0}, "centroid": {}, "knn": {"k": 5}}


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_head_without_a_value_does_not_depend_on_the_left_out_images(kind: str):
    """Neither their labels nor their features, which a scaling of all rows would see."""
    data = examples(N=320)
    rows = np.arange(0, 320, 2)
    changed_ND = data.feature_ND.copy()
    changed_ND[1::2] += 5
    changed_N = data.label_N.copy()
    changed_N[1::2] = 0
    other = Examples(
        ids=data.ids,
        feature_ND=changed_ND,
        label_N=changed_N,
        group_N=data.group_N,
        classes=data.classes,
        holdouts=data.holdouts,
        folds=data.folds,
    )
    heads = [
        refit(
            each.only(rows),
            np.arange(len(rows)),
            winner(kind, **SETTINGS[kind]),
            TuneOptions(),
            classes=tuple("abcdefgh"),
            temperature=1.0,
        )
        for each in (data, other)
    ]
    for name, array in heads[0].tensors().items():
        assert np.array_equal(array, heads[1].tensors()[name]), name
