import numpy as np
import pytest

from vitrail.heads.temperature import fit_temperature


@pytest.mark.parametrize("planted", [0.4, 1.0, 3.0])
def test_a_planted_temperature_is_found(planted):
    draws = np.random.default_rng(0)
    logit_NC = draws.normal(size=(20_000, 5)) * 2
    power_NC = np.exp(logit_NC)
    label_N = (power_NC.cumsum(axis=1) / power_NC.sum(axis=1, keepdims=True) < draws.random((20_000, 1))).sum(axis=1)
    assert fit_temperature(logit_NC * planted, label_N) == pytest.approx(planted, rel=0.05)


def test_perfect_answers_give_the_temperature_of_platts_smoothed_labels():
    """Of 4 examples a label keeps 5/6 and the two other classes share 1/6, so a gap of 4 must become ln 10."""
    logit_NC = 4.0 * np.eye(3)[[0, 1, 2, 0]]
    temperature = fit_temperature(logit_NC, np.array([0, 1, 2, 0]))
    assert temperature == pytest.approx(4 / np.log(10), rel=1e-9)


def test_a_class_weight_is_its_examples_repeated():
    draws = np.random.default_rng(0)
    label_N = draws.integers(0, 3, 5000)
    logit_NC = 2 * np.eye(3)[label_N] + draws.normal(size=(5000, 3)) * np.array([0.5, 1.0, 3.0])
    repeated_M = np.repeat(np.arange(5000), np.array([1, 2, 20])[label_N])
    weighted = fit_temperature(logit_NC, label_N, np.array([1.0, 2.0, 20.0]))
    # Labels are smoothed more than those of the copies would be, since copies tell nothing new.
    assert weighted == pytest.approx(fit_temperature(logit_NC[repeated_M], label_N[repeated_M]), rel=3e-3)
    assert weighted != pytest.approx(fit_temperature(logit_NC, label_N), rel=0.05)


def test_few_examples_of_great_weight_are_as_few_as_they_are():
    label_N = np.arange(300) % 3
    logit_NC = 4.0 * np.eye(3)[label_N]  # all right
    alone = fit_temperature(logit_NC[:3], label_N[:3])
    heavy = fit_temperature(logit_NC, label_N, np.array([1e-9, 1e-9, 1.0]))  # 100 examples of one class
    assert fit_temperature(logit_NC, label_N, np.full(3, 7.0)) == pytest.approx(fit_temperature(logit_NC, label_N))
    assert fit_temperature(logit_NC, label_N) < heavy < alone
    assert heavy == pytest.approx(fit_temperature(logit_NC[:100], label_N[:100]), rel=1e-6)
