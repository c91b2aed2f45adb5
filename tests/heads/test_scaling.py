import numpy as np
import pytest

from tests.heads.test_logistic import problem
from vitrail.core.errors import UsageError
from vitrail.heads.scaling import SCALINGS, fit_scaling


def test_standardised_features_have_mean_0_and_deviation_1_and_a_constant_one_becomes_0():
    feature_ND, _ = problem()
    feature_ND[:, 3] = 7.7
    scaled_ND = fit_scaling(feature_ND).apply(feature_ND)
    np.testing.assert_allclose(scaled_ND.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled_ND.std(axis=0), np.where(np.arange(12) == 3, 0, 1), atol=1e-5)


def test_l2_brings_each_row_to_the_length_that_gives_a_feature_mean_square_1():
    feature_ND, _ = problem()
    feature_ND[5] = 0
    scaled_ND = fit_scaling(feature_ND, "l2").apply(feature_ND)
    length_N = np.linalg.norm(scaled_ND, axis=1)
    np.testing.assert_allclose(length_N, np.where(np.arange(300) == 5, 0, np.sqrt(12)), rtol=1e-5)
    cosine_N = (scaled_ND * feature_ND).sum(axis=1) / np.maximum(length_N * np.linalg.norm(feature_ND, axis=1), 1e-9)
    np.testing.assert_allclose(np.delete(cosine_N, 5), 1, rtol=1e-5)


def test_none_changes_nothing_and_other_words_are_refused():
    feature_ND, _ = problem()
    np.testing.assert_array_equal(fit_scaling(feature_ND, "none").apply(feature_ND), feature_ND)
    with pytest.raises(UsageError, match=", ".join(SCALINGS)):
        fit_scaling(feature_ND, "unit")


@pytest.mark.parametrize("kind", SCALINGS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_heads_train_in_single_and_predict_in_double_precision(kind, dtype):
    feature_ND, _ = problem()
    scaling = fit_scaling(feature_ND, kind)
    assert scaling.apply(feature_ND.astype(dtype)).dtype == np.float32
    assert scaling.exact(feature_ND.astype(dtype)).dtype == np.float64
