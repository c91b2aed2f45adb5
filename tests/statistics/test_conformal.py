"""Sets and thresholds keep their promises on data drawn where the truth is known, and fail with the known mistakes."""

import math

import numpy as np
import pytest
from scipy import stats

from vitrail.statistics.conformal import (
    SCORES,
    adaptive_scores,
    class_thresholds,
    confident_enough,
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


def test_the_coverage_of_one_calibration_draw_lies_in_its_range():
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


def test_answers_above_the_confidence_are_right_as_promised_but_for_the_risk():
    draws = np.random.default_rng(4)
    kept, answered, naive = [], [], []
    for _ in range(200):
        confidence_N = draws.uniform(0.3, 1.0, 1000)
        correct_N = draws.random(1000) < confidence_N
        found = confident_enough(confidence_N, correct_N, precision=0.9, risk=0.1)
        answered.append(found is not None)
        # The true precision above t is the mean of a uniform on [t, 1].
        kept.append(found is None or (1 + found) / 2 >= 0.9)
        order = np.argsort(-confidence_N)
        precise = np.cumsum(correct_N[order]) / np.arange(1, 1001)
        naive.append((1 + confidence_N[order][np.flatnonzero(precise >= 0.9)[-1]]) / 2 >= 0.9)
    assert np.mean(kept) >= 0.9 - 2 * math.sqrt(0.09 / 200)
    assert np.mean(answered) > 0.8
    assert np.mean(naive) < 0.7  # the twin: the least confidence whose own precision is the target


def test_a_promise_that_cannot_be_kept_is_not_given():
    assert confident_enough(np.ones(40), np.ones(40, dtype=bool), precision=0.95, risk=0.1) is None
    assert confident_enough(np.ones(45), np.ones(45, dtype=bool), precision=0.95, risk=0.1) == 1.0
    assert stats.beta.ppf(0.1, 45, 1) >= 0.95 > stats.beta.ppf(0.1, 44, 1) - 0.01
    assert confident_enough(np.linspace(0, 1, 500), np.zeros(500, dtype=bool), precision=0.9, risk=0.1) is None
