import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from vitrail.statistics.two_samples import PENALTY, _areas, _gram, _score_out_of_fold, tell_apart


def draw(seed: int, n: int = 120, width: int = 12) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, width)).astype(np.float32), np.arange(n) < n // 3, generator


def test_scores_are_those_of_ridge_fitted_on_the_other_folds():
    row_ND, first_N, generator = draw(0)
    fold_N = generator.integers(0, 3, len(row_ND))
    score_NP = _score_out_of_fold(_gram(row_ND), np.stack([first_N, generator.permutation(first_N)], axis=1), fold_N)
    scaled_ND = (row_ND - row_ND.mean(axis=0)) / row_ND.std(axis=0)
    for fold in range(3):
        out = fold_N != fold
        # Products are divided by the mean square length of a row, which is the width here.
        ridge = Ridge(alpha=PENALTY * row_ND.shape[1], fit_intercept=False)
        ridge.fit(scaled_ND[out], first_N[out] - first_N[out].mean())
        assert score_NP[~out, 0] == pytest.approx(ridge.predict(scaled_ND[~out]), abs=1e-5)


def test_areas_are_those_of_scikit_learn_ties_included():
    generator = np.random.default_rng(1)
    score_NP = generator.integers(0, 6, (40, 3)).astype(float)
    label_NP = generator.random((40, 3)) < 0.4
    known = [roc_auc_score(label_NP[:, p], score_NP[:, p]) for p in range(3)]
    assert _areas(score_NP, label_NP) == pytest.approx(known)


def test_a_shift_is_found_and_no_shift_gives_no_finding():
    row_ND, first_N, generator = draw(2)
    alike = tell_apart(row_ND, first_N, np.arange(120), generator=generator, permutations=199)
    assert alike.p_value > 0.05
    row_ND[first_N, 0] += 1.5
    apart = tell_apart(row_ND, first_N, np.arange(120), generator=generator, permutations=199)
    assert apart.p_value == 1 / 200
    assert apart.auc > apart.by_chance
    assert (apart.first, apart.second, apart.groups) == (40, 80, 120)


def test_the_level_is_kept_with_groups_that_look_alike():
    alarms = 0
    for seed in range(120):
        generator = np.random.default_rng(seed)
        group_N = np.repeat(np.arange(24), 4)
        row_ND = (generator.normal(size=(24, 6))[group_N] + 0.1 * generator.normal(size=(96, 6))).astype(np.float32)
        first_N = np.isin(group_N, generator.permutation(24)[:8])
        alarms += tell_apart(row_ND, first_N, group_N, generator=generator, permutations=39).p_value <= 0.05
    assert alarms <= 14  # 6 are expected; 15 or more have a chance of less than 1 in 1,000


def test_constant_rows_tell_nothing():
    flat = tell_apart(
        np.ones((20, 3), np.float32),
        np.arange(20) < 8,
        np.arange(20),
        generator=np.random.default_rng(0),
        permutations=19,
    )
    assert (flat.auc, flat.p_value) == (0.5, 1.0)
