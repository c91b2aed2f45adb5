"""A head for rows that are all for training: its groups and its folds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vitrail.core.errors import DataError
from vitrail.heads import probabilities
from vitrail.search.fit_head import fit_head, join_groups
from vitrail.search.options import TuneOptions

CLASSES = ("a", "b", "c")


def rows(seed: int, *, count: int = 60) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    draws = np.random.default_rng(seed)
    label_N = np.arange(count) % len(CLASSES)
    feature_ND = draws.normal(size=(count, 6)).astype(np.float32)
    feature_ND[np.arange(count), label_N] += 2
    return feature_ND, label_N


def test_rows_that_share_a_name_in_any_column_are_together():
    image_N, person_N = np.array(["x", "y", "x", "z", "w"]), np.array([0, 1, 2, 1, 3])
    assert join_groups(image_N).tolist() == [0, 1, 0, 2, 3]
    assert join_groups(image_N, person_N).tolist() == [0, 1, 0, 1, 2]
    assert join_groups(image_N, np.array([0, 1, 1, 3, 3])).tolist() == [0, 0, 0, 1, 1]


def test_a_group_is_never_on_both_sides_of_a_fold():
    """Each row is there four times with a label of its own: only a fold that cuts a group through finds copies."""
    feature_ND, _ = rows(0)
    noise_N = np.random.default_rng(1).integers(0, 3, len(feature_ND))
    group_N = np.tile(np.arange(len(feature_ND)), 4)
    many_ND, many_N = np.tile(feature_ND, (4, 1)), np.tile(noise_N, 4)
    options = TuneOptions(kinds=("knn",), neighbours=(1,), scalings=("standardise",))
    apart = fit_head(many_ND, many_N, group_N, classes=CLASSES, options=options)
    cut = fit_head(many_ND, many_N, np.arange(len(many_N)), classes=CLASSES, options=options)
    assert apart.temperature > 3 * cut.temperature


def test_the_temperature_makes_probabilities_of_rows_that_were_held_out_right():
    feature_ND, label_N = rows(2, count=600)
    feature_ND[np.arange(600), label_N] -= 1.2  # hard to tell
    options = TuneOptions(kinds=("logistic",), strengths=(100.0,), scalings=("none",))
    head = fit_head(feature_ND, label_N, np.arange(600), classes=CLASSES, options=options)
    fresh_ND, fresh_N = rows(3, count=6000)
    fresh_ND[np.arange(6000), fresh_N] -= 1.2
    probability_NC = probabilities(head, fresh_ND)
    right = (probability_NC.argmax(axis=1) == fresh_N).mean()
    assert abs(probability_NC.max(axis=1).mean() - right) < 0.03


def test_the_seed_draws_the_folds_and_nothing_else():
    feature_ND, label_N = rows(4)
    heads = [
        fit_head(
            feature_ND,
            label_N,
            np.arange(60),
            classes=CLASSES,
            options=TuneOptions(kinds=("logistic",), strengths=(1.0,), scalings=("none",), seed=seed),
        )
        for seed in (0, 0, 1)
    ]
    assert heads[0].temperature == heads[1].temperature != heads[2].temperature
    for head in heads:
        np.testing.assert_array_equal(head.scores.weight_CD, heads[0].scores.weight_CD)


def test_one_group_is_refused():
    feature_ND, label_N = rows(5)
    options = TuneOptions(kinds=("centroid",))
    with pytest.raises(DataError, match="none can be held out"):
        fit_head(feature_ND, label_N, np.zeros(60, np.int64), classes=CLASSES, options=options)
