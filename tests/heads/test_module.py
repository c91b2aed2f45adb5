"""Heads as torch modules: the probabilities of `heads.probabilities`, in float32."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.heads.test_head import fitted
from vitrail.heads import SCALINGS, ScalingKind, probabilities
from vitrail.heads.bank import fill_bank, neighbour_distance
from vitrail.heads.module import HeadModule, StrangenessModule
from vitrail.heads.refusal import Refusal
from vitrail.heads.scores import FORM_OF, Neighbours

TOLERANCE = 2e-6  # of a probability; the module computes in float32, the head in float64


def run(module: torch.nn.Module, feature_ND: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return module.eval()(torch.from_numpy(feature_ND)).numpy()


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("kind", FORM_OF)
def test_a_head_of_every_kind_gives_the_same_probabilities(kind: str, scaling: ScalingKind):
    head, feature_ND = fitted(kind, scaling)
    np.testing.assert_allclose(
        run(HeadModule(head), feature_ND), probabilities(head, feature_ND), atol=TOLERANCE, rtol=0
    )


@pytest.mark.parametrize("kind", FORM_OF)
def test_the_temperature_is_inside(kind: str):
    """Negative twin: without its temperature a head gives probabilities that the tolerance does not accept."""
    head, feature_ND = fitted(kind)
    untempered_NC = run(HeadModule(replace(head, temperature=1.0)), feature_ND)
    assert np.abs(untempered_NC - probabilities(head, feature_ND)).max() > 100 * TOLERANCE


@pytest.mark.parametrize("kind", FORM_OF)
def test_a_row_of_zeros_has_probabilities(kind: str):
    head, feature_ND = fitted(kind, "l2")
    zeros_ND = np.zeros_like(feature_ND[:2])
    if kind == "knn":  # every row is as near as every other, so which of them vote is not defined
        assert np.isfinite(run(HeadModule(head), zeros_ND)).all()
        return
    np.testing.assert_allclose(run(HeadModule(head), zeros_ND), probabilities(head, zeros_ND), atol=TOLERANCE)


def test_votes_of_neighbours_have_the_weight_of_their_class():
    head, feature_ND = fitted("knn")
    assert isinstance(head.scores, Neighbours)
    weighted = replace(head, scores=replace(head.scores, class_weight_C=np.array([1, 5, 0.2, 2], np.float32)))
    module_NC = run(HeadModule(weighted), feature_ND)
    np.testing.assert_allclose(module_NC, probabilities(weighted, feature_ND), atol=TOLERANCE, rtol=0)
    assert np.abs(module_NC - probabilities(head, feature_ND)).max() > 0.01


def test_all_stored_rows_may_vote_alike():
    head, feature_ND = fitted("knn")
    assert isinstance(head.scores, Neighbours)
    scores = replace(head.scores, k_1=np.array([len(head.scores.label_M)]), width_1=np.array([1e30], np.float32))
    alike = replace(head, scores=scores)
    np.testing.assert_allclose(run(HeadModule(alike), feature_ND), probabilities(alike, feature_ND), atol=TOLERANCE)


def test_the_distance_to_the_training_images_is_that_of_the_bank():
    _, feature_ND = fitted("logistic")
    bank = fill_bank([str(n) for n in range(len(feature_ND))], feature_ND)
    refusal = Refusal(
        set_on="out-of-fold",
        images=20,
        groups=20,
        alpha=0.1,
        threshold_RC=np.ones((4, 4)),
        precision=0.95,
        risk=0.1,
        confidence=0.5,
        neighbours=bank.neighbours,
        alarms=bank.alarms,
        distance=bank.distance,
        bank_BD=bank.row_BD,
    )
    new_ND = feature_ND[::-1] * 0.7 + 0.3
    np.testing.assert_allclose(
        run(StrangenessModule(refusal), new_ND), neighbour_distance(new_ND, bank.row_BD, bank.neighbours), atol=1e-6
    )
