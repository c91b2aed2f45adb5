import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vitrail.core.errors import DataError, UsageError
from vitrail.heads.head import balanced_weights, log_softmax
from vitrail.heads.logistic import fit_path
from vitrail.heads.scaling import fit_scaling

STRENGTHS = (1e-3, 1e-1, 10.0)


def problem(N: int = 300, D: int = 12, C: int = 4, seed: int = 0):
    draws = np.random.default_rng(seed)
    centre_CD = draws.normal(size=(C, D))
    label_N = draws.integers(0, C, N)
    feature_ND = centre_CD[label_N] + 1.5 * draws.normal(size=(N, D))
    return (feature_ND * draws.uniform(0.1, 10, D)).astype(np.float32), label_N


def sklearn_probabilities(feature_ND, label_N, strength: float, test_ND) -> np.ndarray:
    scaled = (feature_ND.astype(np.float64) - feature_ND.mean(axis=0)) / feature_ND.std(axis=0)
    fitted = LogisticRegression(C=strength, tol=1e-9, max_iter=5000).fit(scaled, label_N)
    probability_NC: np.ndarray = fitted.predict_proba((test_ND - feature_ND.mean(axis=0)) / feature_ND.std(axis=0))
    return probability_NC


def softmax(logit_NC):
    power_NC = np.exp(logit_NC - logit_NC.max(axis=1, keepdims=True))
    return power_NC / power_NC.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("N", "D"), [(300, 12), (60, 100)], ids=["tall", "wide"])
def test_every_strength_of_the_path_is_scikit_learns_solution(N, D):
    feature_ND, label_N = problem(N, D)
    for fit in fit_path(feature_ND, label_N, classes=4, strengths=STRENGTHS, tolerance=1e-8):
        assert fit.converged
        wanted_NC = sklearn_probabilities(feature_ND, label_N, fit.strength, feature_ND)
        np.testing.assert_allclose(softmax(fit.logits(feature_ND)), wanted_NC, atol=2e-5)


def test_with_two_classes_our_softmax_at_c_is_scikit_learns_logit_at_2c():
    feature_ND, label_N = problem(C=2)
    (fit,) = fit_path(feature_ND, label_N, classes=2, strengths=[0.05], tolerance=1e-8)
    same, other = (sklearn_probabilities(feature_ND, label_N, strength, feature_ND) for strength in (0.1, 0.05))
    np.testing.assert_allclose(softmax(fit.logits(feature_ND)), same, atol=2e-5)
    assert np.abs(softmax(fit.logits(feature_ND)) - other).max() > 1e-3


@pytest.mark.parametrize("scaling", ["l2", "none"])
def test_other_scalings_are_scikit_learns_solution_on_such_features(scaling):
    feature_ND, label_N = problem()
    feature_ND += 3  # far from centred
    (fit,) = fit_path(feature_ND, label_N, classes=4, strengths=[0.1], scaling=scaling, tolerance=1e-8)
    scaled_ND = fit_scaling(feature_ND, scaling).exact(feature_ND)
    theirs = LogisticRegression(C=0.1, tol=1e-10, max_iter=20_000).fit(scaled_ND, label_N)
    assert fit.converged
    np.testing.assert_allclose(softmax(fit.logits(feature_ND)), theirs.predict_proba(scaled_ND), atol=1e-4)


@pytest.mark.parametrize(("N", "D"), [(300, 12), (60, 100)], ids=["tall", "wide"])
def test_class_weights_are_scikit_learns(N, D):
    feature_ND, label_N = problem(N, D)
    kept = (label_N != 2) | (np.arange(N) % 4 == 0)
    feature_ND, label_N = feature_ND[kept], label_N[kept]
    scaled_ND = fit_scaling(feature_ND).exact(feature_ND)
    fits = [
        fit_path(feature_ND, label_N, classes=4, strengths=[0.1], class_weights=weights, tolerance=1e-8)[0]
        for weights in (balanced_weights(label_N, 4), None)
    ]
    theirs = LogisticRegression(C=0.1, tol=1e-9, max_iter=5000, class_weight="balanced").fit(scaled_ND, label_N)
    wanted_NC = theirs.predict_proba(scaled_ND)
    np.testing.assert_allclose(softmax(fits[0].logits(feature_ND)), wanted_NC, atol=2e-5)
    assert np.abs(softmax(fits[1].logits(feature_ND)) - wanted_NC).max() > 1e-2


@pytest.mark.parametrize(("N", "D"), [(300, 12), (60, 100)], ids=["tall", "wide"])
def test_a_class_weight_is_its_rows_repeated(N, D):
    feature_ND, label_N = problem(N, D)
    weight_C, repeated_M = np.array([1.0, 3.0, 1.0, 20.0]), np.repeat(np.arange(N), np.array([1, 3, 1, 20])[label_N])
    (weighted,) = fit_path(
        feature_ND, label_N, classes=4, strengths=[0.01], scaling="l2", class_weights=weight_C, tolerance=1e-8
    )
    (repeated,) = fit_path(
        feature_ND[repeated_M], label_N[repeated_M], classes=4, strengths=[0.01], scaling="l2", tolerance=1e-8
    )
    assert weighted.converged
    np.testing.assert_allclose(weighted.logits(feature_ND), repeated.logits(feature_ND), atol=1e-4)


def test_doubling_the_data_is_doubling_c():
    feature_ND, label_N = problem()
    (once,) = fit_path(feature_ND, label_N, classes=4, strengths=[0.2], tolerance=1e-8)
    (twice,) = fit_path(np.tile(feature_ND, (2, 1)), np.tile(label_N, 2), classes=4, strengths=[0.1], tolerance=1e-8)
    np.testing.assert_allclose(once.weight_CD, twice.weight_CD, atol=1e-5)


def test_a_fit_on_the_path_is_the_fit_alone():
    feature_ND, label_N = problem()
    path = fit_path(feature_ND, label_N, classes=4, strengths=STRENGTHS, tolerance=1e-8)
    for strength, fit in zip(STRENGTHS, path, strict=True):
        (alone,) = fit_path(feature_ND, label_N, classes=4, strengths=[strength], tolerance=1e-8)
        np.testing.assert_allclose(fit.logits(feature_ND), alone.logits(feature_ND), atol=1e-3)


def test_where_little_regularises_a_path_says_of_new_rows_what_the_exact_solution_says():
    feature_ND, label_N = problem(N=1500, D=64, C=30)
    train, val = slice(0, 1000), slice(1000, None)

    def losses(**options):
        fits = fit_path(
            feature_ND[train], label_N[train], classes=30, strengths=np.logspace(-2, 2, 14).tolist(), **options
        )
        log_SNC = [log_softmax(fit.logits(feature_ND[val])) for fit in fits]
        return np.array([-log_NC[np.arange(len(log_NC)), label_N[val]].mean() for log_NC in log_SNC])

    np.testing.assert_allclose(losses(), losses(tolerance=1e-10), atol=2e-4)


def test_invalid_labels_and_strengths_are_refused():
    feature_ND, label_N = problem()
    with pytest.raises(DataError, match="label"):
        fit_path(feature_ND, label_N, classes=2, strengths=[1.0])
    with pytest.raises(UsageError, match="above 0"):
        fit_path(feature_ND, label_N, classes=4, strengths=[0.0])
