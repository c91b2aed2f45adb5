"""The confidence for an answer keeps its promise where the truth is known, and survives single errors."""

import math

import numpy as np
import pytest
from scipy import stats

from vitrail.statistics.abstention import confident_enough


def test_answers_above_the_confidence_keep_the_promise_except_for_the_risk():
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


def test_one_error_among_the_surest_does_not_end_the_search():
    """1,999 of 2,000 right, and the one that is wrong is surest: a single sequence would find nothing."""
    for place in (0, 20, 44, 100):
        correct_N = np.arange(2000) != place
        assert confident_enough(np.linspace(1, 0, 2000), correct_N, precision=0.95, risk=0.1) == 0.0


@pytest.mark.parametrize(("accuracy", "least", "most"), [(0.97, 0.95, 1.0), (0.949, 0.0, 0.1)])
def test_heads_of_one_accuracy_get_a_threshold_if_it_is_above_the_target(accuracy: float, least: float, most: float):
    draws = np.random.default_rng(7)
    found = [
        confident_enough(draws.random(2000), draws.random(2000) < accuracy, precision=0.95, risk=0.1) is not None
        for _ in range(300)
    ]
    assert least <= np.mean(found) <= most + 2 * math.sqrt(0.09 / 300)


def draw_groups(draws: np.random.Generator, count: int, size: int, accuracy: float) -> tuple[np.ndarray, ...]:
    """Confidence, correctness and group of images; images of a group share nine tenths of their luck."""
    group_N = np.repeat(np.arange(count), size)
    luck_N = math.sqrt(0.9) * draws.normal(size=count)[group_N] + math.sqrt(0.1) * draws.normal(size=count * size)
    return draws.random(count * size), luck_N < stats.norm.ppf(accuracy), group_N


@pytest.mark.parametrize("size", [4, 8])
def test_the_promise_holds_for_new_groups_and_fails_as_if_images_were_independent(size: int):
    draws = np.random.default_rng(8)
    promised = {"by group": 0, "independent": 0}
    for _ in range(200):
        confidence_N, correct_N, group_N = draw_groups(draws, 2000 // size, size, 0.949)
        by_group = confident_enough(confidence_N, correct_N, precision=0.95, risk=0.1, group_N=group_N)
        alone = confident_enough(confidence_N, correct_N, precision=0.95, risk=0.1)
        promised["by group"] += by_group is not None
        promised["independent"] += alone is not None
    assert promised["by group"] / 200 <= 0.1 + 2 * math.sqrt(0.09 / 200)
    assert promised["independent"] / 200 > 0.15


def test_groups_of_one_change_nothing():
    draws = np.random.default_rng(9)
    confidence_N, correct_N = draws.random(500), draws.random(500) < 0.98
    alone = confident_enough(confidence_N, correct_N, precision=0.95, risk=0.1)
    assert alone is not None
    assert confident_enough(confidence_N, correct_N, precision=0.95, risk=0.1, group_N=draws.permutation(500)) == alone


def test_copies_of_an_image_are_one_image():
    """Groups whose images are all alike tell no more than one image of each, up to Student's allowance."""
    draws = np.random.default_rng(10)
    confidence_G, correct_G = draws.random(60), np.ones(60, bool)
    copied = [np.repeat(value, 5) for value in (confidence_G, correct_G, np.arange(60))]
    found = confident_enough(copied[0], copied[1], precision=0.95, risk=0.1, group_N=copied[2])
    assert found is not None
    few = [np.repeat(value[:44], 5) for value in (confidence_G, correct_G, np.arange(60))]
    assert confident_enough(few[0], few[1], precision=0.95, risk=0.1) is not None  # the twin: 220 images
    assert confident_enough(few[0], few[1], precision=0.95, risk=0.1, group_N=few[2]) is None


def test_so_many_right_answers_that_their_chance_is_zero_in_floating_point_are_enough():
    assert confident_enough(np.linspace(1, 0, 50_000), np.ones(50_000, bool), precision=0.95, risk=0.1) == 0.0
