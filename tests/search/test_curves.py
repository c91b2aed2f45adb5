from dataclasses import replace

import numpy as np
import pytest
from benchmarks.coverage_forecast import World

from tests.search.test_subsets import examples, score
from vitrail.search.curves import make_label_curves
from vitrail.search.subsets import SubsetScores

NAMES = tuple(f"class {c}" for c in range(8))
EVERY = np.ones(1280, dtype=bool)


def world(*, seed: int = 0, N: int = 1280, law=(0.1, 0.1, 0.5), luck: float = 0.2) -> SubsetScores:
    return World(np.random.default_rng(seed), law, N, luck).score_parts()


def test_a_curve_ends_at_the_accuracy_of_all_images_and_every_point_is_in_its_interval():
    scores = score(examples())
    whole, hardest = make_label_curves(scores, NAMES, EVERY)
    assert [point.images_per_class for point in whole.points] == [16, 32, 64, 128]
    accuracy = [point.accuracy for point in whole.points]
    assert accuracy[0] < accuracy[-1] == scores.right("all").mean()
    assert all(point.low < point.accuracy < point.high for point in whole.points)
    assert hardest.points[-1].accuracy == whole.points[-1].accuracy
    assert hardest.points[0].accuracy > whole.points[0].accuracy
    assert hardest.classes == tuple(NAMES[c] for c in scores.hardest)


def test_the_forecast_starts_at_the_images_of_the_kept_head():
    scores = world(luck=0.0)
    (both,) = make_label_curves(scores, ("a", "b"), EVERY)
    (train,) = make_label_curves(scores, ("a", "b"), np.arange(1280) % 4 > 0)
    assert (both.forecast.images_per_class, both.forecast.labels) == (640, 1280)
    assert (train.forecast.images_per_class, train.forecast.labels) == (480, 960)
    assert train.forecast.gain > both.forecast.gain  # the law flattens
    assert "1,280 more labels in all 2 classes (640 more per class)" in both.sentence
    assert "on average for heads like this one, on train and val images" in both.sentence
    assert "90% interval" in both.sentence


def test_forecasts_of_true_power_laws_hold():
    """Of a law with a = 0, the hardest: its upper limit is at the border of what is allowed."""
    law = (0.0, 0.3, 0.25)
    truth, held = 0.3 * (1 - 2**-0.25), 0
    for seed in range(60):
        (curve,) = make_label_curves(world(seed=seed, law=law), ("a", "b"), EVERY)
        held += curve.forecast.low <= truth <= curve.forecast.high
    assert held >= 50  # 54 are promised; less than 50 has a chance of 5%


def test_a_curve_that_is_no_power_law_has_no_forecast():
    scores = world(luck=0.0)
    worse_N = np.where(np.arange(1280) % 3 > 0, 1 - scores.label_N, scores.label_N)
    (curve,) = make_label_curves(
        replace(scores, predicted={**scores.predicted, "half": worse_N, "other_half": worse_N}), ("a", "b"), EVERY
    )
    assert curve.forecast is None
    assert "too uneven" in curve.sentence


def test_examples_of_one_group_give_a_curve_without_intervals_and_without_a_forecast():
    scores = replace(world(), group_N=np.zeros(1280, dtype=np.int64))
    (curve,) = make_label_curves(scores, ("a", "b"), EVERY)
    assert curve.points[0].accuracy < curve.points[-1].accuracy
    assert {(point.low, point.high) for point in curve.points} == {(None, None)}
    assert curve.forecast is None
    assert "belong to one group" in curve.sentence
    two = replace(scores, group_N=np.arange(1280) % 2)  # the twin: of two groups there are intervals
    (curve,) = make_label_curves(two, ("a", "b"), EVERY)
    assert all(point.low < point.high for point in curve.points)


def test_intervals_are_of_groups_and_not_of_their_images():
    label_N = np.zeros(1000, dtype=np.int64)
    wrong_N = np.repeat(np.random.default_rng(0).random(20) < 0.3, 50).astype(np.int64)
    names = ("all", "eighth", "quarter", "half", "other_half")
    alone = SubsetScores(
        ids=tuple(map(str, range(1000))),
        label_N=label_N,
        group_N=np.arange(1000),
        fold_N=np.arange(1000) // 200,
        hardest=(),
        predicted=dict.fromkeys(names, wrong_N),
    )
    every = np.ones(1000, dtype=bool)
    ((independent,), (grouped,)) = (
        make_label_curves(scores, ("a", "b"), every)
        for scores in (alone, replace(alone, group_N=np.arange(1000) // 50))
    )
    width = [curve.points[0].high - curve.points[0].low for curve in (independent, grouped)]
    assert width[1] > 5 * width[0]


def test_labels_without_a_significant_gain_are_not_called_worth_anything():
    assert make_label_curves(score(examples(N=64)), NAMES, np.ones(64, dtype=bool)) == ()
    easy = replace(examples(), feature_ND=(10 * np.eye(16)[np.arange(1280) % 8]).astype(np.float32))
    curve = make_label_curves(score(easy), NAMES, EVERY)[0]
    assert "It cannot be shown that" in curve.sentence
    assert curve.forecast.high == pytest.approx(0.002, abs=0.002)
