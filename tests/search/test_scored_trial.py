from dataclasses import dataclass

import numpy as np

from vitrail.search.examples import Examples, Holdout
from vitrail.search.scored_trial import class_weights, score


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
    holdout = Holdout(rows[:100], rows[100:])
    return Examples(tuple(map(str, rows)), feature_NC, label_N, rows, C, (holdout,), (holdout,))


def test_a_trial_is_not_chosen_for_its_temperature():
    cold, hot = (score(examples(), [Planted(factor)])[0] for factor in (0.1, 30.0))
    np.testing.assert_allclose(cold, hot, rtol=1e-6)


def test_the_weights_of_a_balanced_figure_give_every_class_the_same_sum_and_a_mean_of_one():
    weight_S = class_weights(np.array([0] * 90 + [1] * 9 + [3]), 4)
    assert weight_S.mean() == 1
    np.testing.assert_allclose([weight_S[:90].sum(), weight_S[90:99].sum(), weight_S[99]], 100 / 3)
