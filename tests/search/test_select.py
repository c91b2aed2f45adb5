import numpy as np

from vitrail.search.select import select


def test_among_equals_the_least_weights_win():
    draws = np.random.default_rng(0)
    base_N = draws.normal(1, 0.5, 200)
    near_N = base_N + draws.normal(0.001, 0.1, 200)
    worse_N = base_N + draws.normal(0.3, 0.1, 200)
    assert select(np.stack([base_N, near_N, worse_N]), ["a"] * 3, [3.0, 2.0, 1.0]) == 1


def test_a_clearly_better_trial_wins_whatever_its_weights():
    better_N = np.linspace(0, 1, 50)
    assert select(np.stack([better_N + 0.5, better_N]), ["a"] * 2, [1.0, 100.0]) == 1


def test_a_trial_of_another_kind_does_not_win_by_its_weights():
    best_N = np.random.default_rng(0).normal(1, 0.5, 200)
    near_N = best_N + 0.001 + 0.1 * np.tile([1.0, -1.0], 100)
    assert select(np.stack([best_N, near_N]), ["a", "a"], [3.0, 2.0]) == 1
    assert select(np.stack([best_N, near_N]), ["a", "b"], [3.0, 2.0]) == 0
