import numpy as np
from sklearn.linear_model import Ridge

from tests.search.test_curves import examples
from vitrail.search.fewshot import PENALTY, SHOTS, draw_shots, fit_shots, score_few_shots


def test_more_shots_are_better_and_the_spread_of_the_draws_is_stated():
    results = score_few_shots(examples(), seed=0)
    assert tuple(result.shots for result in results) == SHOTS
    assert [result.mean for result in results] == sorted(result.mean for result in results)
    assert all(result.low <= result.mean <= result.high and result.deviation > 0 for result in results)
    assert score_few_shots(examples(), seed=0) == results != score_few_shots(examples(), seed=1)


def test_shots_that_most_classes_lack_are_skipped():
    assert [result.shots for result in score_few_shots(examples(N=64), seed=0)] == [1, 2]  # 4 images a class


def test_every_class_gives_its_shots_and_fewer_are_among_more():
    label_N = np.array([0] * 30 + [1] * 30 + [2] * 3)
    rows = [draw_shots(label_N, np.arange(63), shots, np.random.default_rng(5)) for shots in (2, 5)]
    assert [np.bincount(label_N[drawn]).tolist() for drawn in rows] == [[2, 2, 2], [5, 5, 3]]
    assert set(rows[0]) < set(rows[1])


def test_the_head_is_scikit_learns_ridge_whether_rows_or_features_are_fewer():
    draws = np.random.default_rng(0)
    for N, D in ((12, 40), (60, 10)):
        feature_ND = draws.normal(2, 1, (N, D)).astype(np.float32)
        label_N = np.arange(N) % 3
        ours_MC = fit_shots(feature_ND, label_N, classes=3).logits(feature_ND)
        centred_ND = feature_ND - feature_ND.mean(axis=0, dtype=np.float64)
        scaled_ND = centred_ND / np.sqrt((centred_ND**2).sum(axis=1).mean())
        target_NC = np.eye(3)[label_N] - 1 / 3
        wanted_MC = Ridge(alpha=PENALTY, fit_intercept=False).fit(scaled_ND, target_NC).predict(scaled_ND)
        np.testing.assert_allclose(ours_MC, wanted_MC, atol=1e-5)
