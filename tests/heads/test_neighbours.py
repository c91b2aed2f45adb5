import math

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from tests.heads.test_logistic import problem
from vitrail.core.errors import UsageError
from vitrail.heads.head import softmax
from vitrail.heads.neighbours import NeighbourSetting, fit_centroid, fit_neighbours


@pytest.mark.parametrize("width", [0.07, math.inf], ids=["weighted", "counted"])
def test_votes_are_scikit_learns_on_cosines(width):
    feature_ND, label_N = problem(400)
    (fit,) = fit_neighbours(
        feature_ND[:300], label_N[:300], classes=4, settings=[NeighbourSetting(k=11, width=width)], scaling="none"
    )
    theirs = KNeighborsClassifier(
        11, metric="cosine", weights=lambda distance: np.exp((1 - distance) / width) if width < 1 else distance * 0 + 1
    ).fit(feature_ND[:300].astype(np.float64), label_N[:300])
    shares = (11 * theirs.predict_proba(feature_ND[300:].astype(np.float64)) + 0.25) / 12
    np.testing.assert_allclose(softmax(fit.logits(feature_ND[300:])), shares, atol=1e-5)


def test_the_answer_for_a_row_does_not_depend_on_other_rows():
    feature_ND, label_N = problem(400)
    (fit,) = fit_neighbours(feature_ND[:300], label_N[:300], classes=4, settings=[NeighbourSetting(k=5)])
    together = fit.logits(feature_ND[300:])
    alone = np.concatenate([fit.logits(feature_ND[[row]]) for row in range(300, 400)])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-12)


def test_k_above_the_rows_means_all_of_them_and_below_one_is_refused():
    feature_ND, label_N = problem(20)
    (fit,) = fit_neighbours(feature_ND, label_N, classes=4, settings=[NeighbourSetting(k=200, width=math.inf)])
    counted_C = np.bincount(label_N, minlength=4) / 20
    np.testing.assert_allclose(softmax(fit.logits(feature_ND[:1]))[0], (20 * counted_C + 0.25) / 21, atol=1e-6)
    with pytest.raises(UsageError, match="k of at least 1"):
        NeighbourSetting(k=0)


def test_the_nearest_centroid_is_scikit_learns():
    feature_ND, label_N = problem(400)
    fit = fit_centroid(feature_ND[:300], label_N[:300], classes=4, scaling="none")
    theirs = NearestCentroid().fit(feature_ND[:300], label_N[:300])
    np.testing.assert_array_equal(fit.logits(feature_ND[300:]).argmax(axis=1), theirs.predict(feature_ND[300:]))


def test_leaving_a_row_out_of_its_mean_is_fitting_without_it(monkeypatch):
    import vitrail.heads.neighbours as module

    feature_ND, label_N = problem(60)
    label_N[0], label_N[1:] = 3, np.where(label_N[1:] == 3, 0, label_N[1:])  # row 0 is alone in its class
    seen = {}
    monkeypatch.setattr(module, "first_temperature", lambda score_NC, _: seen.update(score_NC=score_NC) or 1.0)
    fit_centroid(feature_ND, label_N, classes=4, scaling="none")
    score_NC = seen["score_NC"].copy()
    for row in (1, 30, 59):
        rest = np.arange(60) != row
        alone = fit_centroid(feature_ND[rest], label_N[rest], classes=4, scaling="none").logits(feature_ND[[row]])[0]
        np.testing.assert_allclose(score_NC[row, label_N[row]], alone[label_N[row]], rtol=1e-9)
    assert score_NC[0].argmin() == 3


def test_a_class_without_examples_is_never_the_nearest():
    feature_ND, label_N = problem(60)
    fit = fit_centroid(feature_ND, label_N, classes=6)
    assert (fit.logits(feature_ND).argmax(axis=1) < 4).all()


@pytest.mark.parametrize("width", [0.07, math.inf], ids=["weighted", "counted"])
def test_a_class_weight_multiplies_the_votes_as_repeating_the_class_does(width):
    feature_ND, label_N = problem(60)
    weight_C, repeated_M = np.array([1.0, 3.0, 1.0, 2.0]), np.repeat(np.arange(60), np.array([1, 3, 1, 2])[label_N])
    shares = []
    for rows, weights in ((np.arange(60), weight_C), (repeated_M, None), (np.arange(60), None)):
        k = len(rows)  # all rows vote: with fewer, copies take the places of other rows
        (fit,) = fit_neighbours(
            feature_ND[rows],
            label_N[rows],
            classes=4,
            settings=[NeighbourSetting(k=k, width=width)],
            scaling="none",
            class_weights=weights,
        )
        shares.append(((k + 1) * softmax(fit.logits(feature_ND)) - 0.25) / k)
    np.testing.assert_allclose(shares[0], shares[1], atol=1e-6)
    assert np.abs(shares[0] - shares[2]).max() > 0.01
