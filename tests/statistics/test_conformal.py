"""Sets and thresholds keep their promises on data drawn where the truth is known, and fail with the known mistakes."""

import math

import numpy as np
import pytest
from scipy import stats

from vitrail.statistics.conformal import (
    SCORES,
    adaptive_scores,
    class_thresholds,
    coverage_range,
    lac_scores,
    threshold,
    true_scores,
)


def draw(draws, n, classes=10, skill=1.5, temperature=0.5):
    """A classifier that is overconfident by the temperature."""
    label_N = draws.integers(0, classes, n)
    logit_NC = draws.normal(size=(n, classes)) + skill * np.eye(classes)[label_N]
    probability_NC = np.exp(logit_NC / temperature)
    return probability_NC / probability_NC.sum(axis=1, keepdims=True), label_N


@pytest.mark.parametrize("kind", SCORES)
def test_coverage_is_as_promised_however_bad_the_probabilities_are(kind: str):
    draws = np.random.default_rng(0)
    covered = []
    for _ in range(60):
        probability_NC, label_N = draw(draws, 1400)
        score_N = true_scores(SCORES[kind](probability_NC), label_N)
        covered.append(float((score_N[400:] <= threshold(score_N[:400], 0.1)).mean()))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.01)


def test_the_rank_is_one_up_or_few_examples_promise_too_much():
    """The twin: the plain quantile covers n (1 - alpha) / (n + 1), which at 19 examples is 85.5% of a promised 90%."""
    draws = np.random.default_rng(1)
    score = draws.random((20_000, 20))
    held = [row[-1] <= threshold(row[:19], 0.1) for row in score]
    plain = [row[-1] <= np.sort(row[:19])[math.ceil(19 * 0.9) - 1 - 1] for row in score]
    assert np.mean(held) == pytest.approx(0.9, abs=0.01)
    assert np.mean(plain) < 0.89


def test_too_few_examples_promise_nothing_and_hold_every_class():
    assert threshold(np.zeros(8), 0.1) == math.inf
    assert threshold(np.arange(9.0), 0.1) == 8.0
    assert threshold(np.arange(10.0), 0.5) == 5.0


def test_the_coverage_of_one_calibration_draw_is_in_its_range():
    """Vovk 2012: over draws of 99 examples the coverage of one threshold is Beta(90, 10) distributed."""
    assert coverage_range(99, 0.1) == pytest.approx(stats.beta(90, 10).interval(0.95))
    draws = np.random.default_rng(6)
    limits = [threshold(draws.random(99), 0.1) for _ in range(2000)]  # of uniform scores a threshold is its coverage
    low, high = coverage_range(99, 0.1)
    assert np.mean([low <= limit <= high for limit in limits]) == pytest.approx(0.95, abs=0.015)
    assert coverage_range(8, 0.1) == (1.0, 1.0)


def test_by_class_every_class_is_covered_where_on_average_some_are_not():
    draws = np.random.default_rng(2)
    alone, averaged = [], []
    for _ in range(40):
        probability_NC, label_N = draw(draws, 3000, classes=3)
        probability_NC[:, 0] *= 0.05  # a classifier that hardly believes in class 0
        probability_NC /= probability_NC.sum(axis=1, keepdims=True)
        score_N = true_scores(lac_scores(probability_NC), label_N)
        each_C = class_thresholds(score_N[:1500], label_N[:1500], 3, 0.1)
        late = label_N[1500:] == 0
        alone.append(float((score_N[1500:][late] <= each_C[0]).mean()))
        averaged.append(float((score_N[1500:][late] <= threshold(score_N[:1500], 0.1)).mean()))
    assert np.mean(alone) == pytest.approx(0.9, abs=0.01)
    assert np.mean(averaged) < 0.8


def test_adaptive_scores_are_what_comes_before_and_equals_score_alike():
    scores = adaptive_scores(np.array([[0.1, 0.5, 0.4], [0.25, 0.5, 0.25], [0.2, 0.2, 0.6]]))
    assert scores == pytest.approx(np.array([[0.9, 0.0, 0.5], [0.5, 0.0, 0.5], [0.6, 0.6, 0.0]]))


def test_adaptive_sets_are_never_empty_and_grow_with_doubt():
    draws = np.random.default_rng(3)
    probability_NC, label_N = draw(draws, 2000)
    score_NC = adaptive_scores(probability_NC)
    size_N = (score_NC <= threshold(true_scores(score_NC, label_N), 0.1)).sum(axis=1)
    assert size_N.min() >= 1
    top_N = probability_NC.max(axis=1)
    assert size_N[top_N < 0.5].mean() > size_N[top_N > 0.9].mean() + 1


def test_the_threshold_of_groups_is_that_of_hierarchical_conformal_prediction():
    """Each group has weight 1 / (G + 1), shared by its examples, and so has infinity (arXiv:2306.06342)."""
    score_N, group_N = np.array([1.0, 2.0, 3.0, 4.0]), np.array([7, 7, 5, 5])
    assert threshold(score_N, 0.5, group_N) == 3.0  # 1/6, 2/6, 3/6 of the weight
    assert threshold(score_N, 0.34, group_N) == 4.0
    assert threshold(score_N, 0.3, group_N) == math.inf
    assert threshold(score_N, 0.5, np.arange(4)) == threshold(score_N, 0.5)
    assert class_thresholds(score_N, np.array([0, 0, 0, 1]), 2, 0.5, group_N).tolist() == [3.0, 4.0]


@pytest.mark.parametrize("count", [12, 60])
def test_sets_hold_the_class_of_images_of_new_groups_however_few_groups_there_are(count: int):
    """The twin: as if images were independent, sets of 12 groups of alike images hold the class too rarely."""
    draws = np.random.default_rng(11)
    held, alone = [], []
    for _ in range(2000):
        size_G = draws.integers(1, 20, count + 1)
        group_N = np.repeat(np.arange(count + 1), size_G)
        score_N = draws.normal(size=count + 1)[group_N] + 0.1 * draws.normal(size=len(group_N))
        known = group_N < count
        new = float(score_N[~known][0])
        held.append(new <= threshold(score_N[known], 0.1, group_N[known]))
        alone.append(new <= threshold(score_N[known], 0.1))
    noise = 2 * math.sqrt(0.09 / 2000)
    assert 0.9 - noise <= np.mean(held) <= 0.9 + 1 / (count + 1) + noise
    if count == 12:
        assert np.mean(alone) < 0.9 - noise
