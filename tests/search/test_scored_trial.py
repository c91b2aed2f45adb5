from dataclasses import dataclass, replace

import numpy as np
import pytest

from vitrail.core.errors import DataError
from vitrail.search.examples import Examples, Holdout
from vitrail.search.scored_trial import score_fits, select, standard_error


@dataclass(frozen=True)
class Planted:
    """A fit whose scores are the features, made hotter or colder."""

    factor: float

    def logits(self, feature_ND):
        return self.factor * feature_ND.astype(np.float64)


def examples(N: int = 300, C: int = 3) -> Examples:
    draws = np.random.default_rng(0)
    label_N = draws.integers(0, C, N)
    feature_NC = (2 * np.eye(C)[label_N] + draws.normal(size=(N, C))).astype(np.float32)
    rows = np.arange(N)
    holdout = Holdout(rows[:100], rows[100:], rows[100:])
    return Examples(tuple(map(str, rows)), feature_NC, label_N, rows, C, (holdout,), (holdout,))


def test_a_trial_is_not_chosen_for_its_temperature():
    cold, hot = (score_fits(examples(), [Planted(factor)])[0] for factor in (0.1, 30.0))
    np.testing.assert_allclose(cold, hot, rtol=1e-6)


def test_the_weights_of_a_balanced_figure_give_every_class_the_same_sum_and_a_mean_of_one():
    label_N = np.array([0] * 90 + [1] * 9 + [3])
    rows = np.arange(100)
    everything = (Holdout(rows, rows, rows),)
    data = Examples((), np.zeros((100, 1), np.float32), label_N, rows, 4, everything, everything)
    weight_S = data.even_weights
    assert (data.scored_weights == 1).all()
    np.testing.assert_array_equal(replace(data, balanced=True).scored_weights, weight_S)
    assert weight_S.mean() == 1
    np.testing.assert_allclose([weight_S[:90].sum(), weight_S[90:99].sum(), weight_S[99]], 100 / 3)


def test_among_equals_the_least_weights_win():
    draws = np.random.default_rng(0)
    base_N = draws.normal(1, 0.5, 200)
    near_N = base_N + draws.normal(0.001, 0.1, 200)
    worse_N = base_N + draws.normal(0.3, 0.1, 200)
    assert select(np.stack([base_N, near_N, worse_N]), ["a"] * 3, [3.0, 2.0, 1.0], np.ones(200)) == 1


def test_a_clearly_better_trial_wins_whatever_its_weights():
    better_N = np.linspace(0, 1, 50)
    assert select(np.stack([better_N + 0.5, better_N]), ["a"] * 2, [1.0, 100.0], np.ones(50)) == 1


def test_a_trial_of_another_kind_does_not_win_by_its_weights():
    best_N = np.random.default_rng(0).normal(1, 0.5, 200)
    near_N = best_N + 0.001 + 0.1 * np.tile([1.0, -1.0], 100)
    assert select(np.stack([best_N, near_N]), ["a", "a"], [3.0, 2.0], np.ones(200)) == 1
    assert select(np.stack([best_N, near_N]), ["a", "b"], [3.0, 2.0], np.ones(200)) == 0


def test_with_weights_the_trial_that_is_best_for_the_heavy_examples_wins():
    draws = np.random.default_rng(0)
    heavy_S = np.arange(200) % 20 == 0
    first_N = draws.normal(1, 0.1, 200)
    second_N = first_N + np.where(heavy_S, -0.5, 0.1)
    weight_S = np.where(heavy_S, 10.0, 1.0)
    losses = np.stack([first_N, second_N])
    assert select(losses, ["a", "a"], [1.0, 2.0], np.ones(200)) == 0
    assert select(losses, ["a", "a"], [1.0, 2.0], weight_S / weight_S.mean()) == 1


def test_the_standard_error_of_a_weighted_mean_is_that_over_draws():
    draws = np.random.default_rng(0)
    heavy_S = np.arange(400) % 20 == 0
    weight_S = np.where(heavy_S, 20.0, 1.0) / np.where(heavy_S, 20.0, 1.0).mean()
    value_RS = 3 + draws.normal(size=(2000, 400)) * np.where(heavy_S, 2.0, 1.0)
    errors = standard_error(value_RS, weight_S)
    assert errors.mean() == pytest.approx((weight_S * value_RS).mean(axis=1).std(), rel=0.05)
    assert standard_error(np.full((1, 400), 3.0), weight_S)[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.filterwarnings("error")
def test_a_training_that_diverged_never_wins():
    diverged, sound = (score_fits(examples(), [Planted(factor)]) for factor in (np.inf, 1.0))
    assert np.isnan(diverged[0]).all()
    assert not diverged[1].any()
    assert select(np.stack([diverged[0], sound[0]]), ["a"] * 2, [0.0, 9.0], np.ones(200)) == 1
    with pytest.raises(DataError, match="every head that was tried are not finite"):
        select(np.stack([diverged[0]] * 2), ["a"] * 2, [0.0, 0.0], np.ones(200))
