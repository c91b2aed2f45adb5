import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeClassifierCV

from tests.heads.test_logistic import problem
from vitrail.core.errors import DataError, UsageError
from vitrail.heads.head import log_softmax
from vitrail.heads.ridge import RidgePath, fit_ridge

ALPHAS = (0.1, 10.0, 1000.0)
SHAPES = pytest.mark.parametrize(("N", "D"), [(300, 12), (60, 100), (40, 40)], ids=["tall", "wide", "square"])


def scaled(feature_ND):
    feature_ND = feature_ND.astype(np.float64)
    return (feature_ND - feature_ND.mean(axis=0)) / feature_ND.std(axis=0)


def targets(label_N, classes=4):
    return 2.0 * np.eye(classes)[label_N] - 1


@SHAPES
def test_every_strength_agrees_with_scikit_learns_classifier_and_its_leave_one_out(N, D):
    feature_ND, label_N = problem(N, D)
    theirs = RidgeClassifierCV(alphas=ALPHAS, store_cv_results=True, scoring=None).fit(scaled(feature_ND), label_N)
    fits = fit_ridge(feature_ND, label_N, classes=4, alphas=ALPHAS)
    errors = theirs.cv_results_.mean(axis=(0, 1))
    np.testing.assert_allclose([fit.left_out.error for fit in fits], errors, rtol=1e-4)
    best = min(fits, key=lambda fit: fit.left_out.error)
    assert best.alpha == theirs.alpha_
    np.testing.assert_allclose(best.weight_CD * best.temperature, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(
        best.logits(feature_ND) * best.temperature, theirs.decision_function(scaled(feature_ND)), atol=1e-4
    )


@SHAPES
def test_leaving_one_out_is_fitting_without_it(N, D):
    feature_ND, label_N = problem(N, D)
    scaled_ND, target_NC = scaled(feature_ND), targets(label_N)
    path = RidgePath(feature_ND, label_N, classes=4)
    for alpha in (1e-3, 5.0):  # the weak one has leverages above what float32 answers
        answer_NC = path.left_out_scores(alpha).double().numpy()
        for row in (0, 7, N - 1):
            rest = np.arange(N) != row
            alone = Ridge(alpha=alpha, solver="svd").fit(scaled_ND[rest], target_NC[rest])
            np.testing.assert_allclose(answer_NC[row], alone.predict(scaled_ND[[row]])[0], atol=1e-3)


def test_without_the_biass_share_of_the_leverage_it_would_be_wrong():
    """The negative twin: a hat matrix that forgets the 1/n of the free bias."""
    feature_ND, label_N = problem(30, 4)
    path = RidgePath(feature_ND, label_N, classes=4)
    answer_NC = path.left_out_scores(5.0).double().numpy()
    scaled_ND, target_NC = scaled(feature_ND), targets(label_N)
    rest = np.arange(30) != 0
    alone_C = Ridge(alpha=5.0).fit(scaled_ND[rest], target_NC[rest]).predict(scaled_ND[[0]])[0]
    whole = Ridge(alpha=5.0).fit(scaled_ND, target_NC).predict(scaled_ND)
    hat = scaled_ND @ np.linalg.solve(scaled_ND.T @ scaled_ND + 5.0 * np.eye(4), scaled_ND.T)
    forgetful_C = target_NC[0] - (target_NC[0] - whole[0]) / (1 - hat[0, 0])
    np.testing.assert_allclose(answer_NC[0], alone_C, atol=1e-4)
    assert np.abs(forgetful_C - alone_C).max() > 1e-2


@SHAPES
def test_a_class_weight_is_its_rows_repeated(N, D):
    feature_ND, label_N = problem(N, D)
    weight_C, repeated_M = np.array([1.0, 3.0, 1.0, 20.0]), np.repeat(np.arange(N), np.array([1, 3, 1, 20])[label_N])
    (weighted,) = fit_ridge(feature_ND, label_N, classes=4, alphas=[5.0], scaling="l2", class_weights=weight_C)
    (repeated,), (plain,) = (
        fit_ridge(feature_ND[rows], label_N[rows], classes=4, alphas=[5.0], scaling="l2")
        for rows in (repeated_M, np.arange(N))
    )
    wanted_CD = repeated.weight_CD * repeated.temperature
    np.testing.assert_allclose(weighted.weight_CD * weighted.temperature, wanted_CD, atol=1e-5)
    bias_C, wanted_C = weighted.bias_C * weighted.temperature, repeated.bias_C * repeated.temperature
    np.testing.assert_allclose(bias_C, wanted_C, atol=1e-5)
    assert np.abs(plain.weight_CD * plain.temperature - wanted_CD).max() > 1e-3


@SHAPES
def test_leaving_one_out_of_weighted_rows_is_fitting_without_it(N, D):
    feature_ND, label_N = problem(N, D)
    scaled_ND, target_NC = scaled(feature_ND), targets(label_N)
    weight_C = np.array([0.3, 3.0, 1.0, 20.0])
    weight_N = weight_C[label_N]
    path = RidgePath(feature_ND, label_N, classes=4, class_weights=weight_C)
    for alpha in (1e-2, 5.0):
        answer_NC = path.left_out_scores(alpha).double().numpy()
        alone_NC = np.zeros_like(answer_NC)
        for row in range(N):
            rest = np.arange(N) != row
            alone = Ridge(alpha=alpha, solver="cholesky").fit(scaled_ND[rest], target_NC[rest], weight_N[rest])
            alone_NC[row] = alone.predict(scaled_ND[[row]])[0]
        np.testing.assert_allclose(answer_NC, alone_NC, atol=2e-3)
        left_out = path.leave_one_out(alpha)
        error_N = ((alone_NC - target_NC) ** 2).mean(axis=1)
        assert left_out.error == pytest.approx(np.average(error_N, weights=weight_N), rel=1e-3)
        right_N = alone_NC.argmax(axis=1) == label_N
        assert left_out.accuracy == pytest.approx(np.average(right_N, weights=weight_N), abs=0.02)


@SHAPES
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (0.3, 3.0, 1.0, 20.0)], ids=["plain", "weighted"])
def test_leaving_a_group_out_is_fitting_without_it(N, D, weights):
    feature_ND, label_N = problem(N, D)
    scaled_ND, target_NC, weight_C = scaled(feature_ND), targets(label_N), np.array(weights)
    group_N = np.random.default_rng(0).integers(0, 12, N)
    group_N[:5] = 12 + np.arange(5)  # groups of one row
    path = RidgePath(feature_ND, label_N, classes=4, class_weights=weight_C)
    for alpha in (0.1, 5.0):
        answer_NC = path.left_out_group_scores(alpha, group_N).numpy()
        for group in np.unique(group_N):
            here = group_N == group
            rest = Ridge(alpha=alpha, solver="cholesky").fit(
                scaled_ND[~here], target_NC[~here], weight_C[label_N[~here]]
            )
            np.testing.assert_allclose(answer_NC[here], rest.predict(scaled_ND[here]), atol=2e-4)


def test_rows_of_a_group_left_out_one_by_one_would_be_wrong():
    """The negative twin: copies of a row tell its label when only the row itself is left out."""
    feature_ND, label_N = problem(30, 40)[0], np.random.default_rng(0).integers(0, 4, 30)  # nothing to learn
    copied_ND, copied_N = np.repeat(feature_ND, 4, axis=0), np.repeat(label_N, 4)
    path = RidgePath(copied_ND, copied_N, classes=4)
    alone = path.judge(path.left_out_scores(1.0), 1.0)
    by_group = path.judge(path.left_out_group_scores(1.0, np.repeat(np.arange(30), 4)), 1.0)
    assert alone.accuracy > 0.9
    assert by_group.accuracy < 0.6


@SHAPES
def test_groups_of_one_row_are_leave_one_out(N, D):
    path = RidgePath(*problem(N, D), classes=4)
    np.testing.assert_allclose(path.left_out_group_scores(5.0, np.arange(N)), path.left_out_scores(5.0), atol=1e-3)


def test_its_logits_are_calibrated_on_rows_that_it_was_not_fitted_on():
    feature_ND, label_N = problem(1200)
    (fit,) = fit_ridge(feature_ND[:600], label_N[:600], classes=4, alphas=[1.0])
    logit_NC = fit.logits(feature_ND[600:])

    def nll(temperature: float) -> float:
        return float(-log_softmax(logit_NC / temperature)[np.arange(600), label_N[600:]].mean())

    assert nll(1.0) < min(nll(t) for t in np.geomspace(0.2, 5, 41)) + 0.01
    assert nll(1 / fit.temperature) > nll(1.0) + 0.1  # a regression's answers are no logits


def test_a_class_without_examples_and_a_strength_of_nothing():
    feature_ND, label_N = problem(50, 8)
    (fit,) = fit_ridge(feature_ND, label_N, classes=5, alphas=[1.0])
    assert (fit.logits(feature_ND).argmax(axis=1) < 4).all()
    with pytest.raises(UsageError, match="above 0"):
        fit_ridge(feature_ND, label_N, classes=4, alphas=[0.0])
    with pytest.raises(DataError, match="label"):
        fit_ridge(feature_ND, label_N, classes=2, alphas=[1.0])
