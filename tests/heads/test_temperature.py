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
