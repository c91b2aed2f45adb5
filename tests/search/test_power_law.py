import numpy as np
import pytest

from vitrail.search.power_law import fit_power_law, power_law

IMAGES = np.array([5.0, 10.0, 20.0, 40.0])


@pytest.mark.parametrize("law", [(0.1, 0.3, 0.5), (0.0, 0.2, 1.0), (0.25, 0.05, 0.1)])
def test_a_curve_that_is_a_power_law_gives_it_back(law):
    error_P = power_law(np.array([law]), IMAGES, unit=40.0)
    np.testing.assert_allclose(fit_power_law(IMAGES, error_P), [law], atol=1e-6)


def test_errors_never_go_below_nothing_and_never_rise_with_images():
    draws = np.random.default_rng(0)
    law_R3 = fit_power_law(IMAGES, draws.random((200, 4)))
    further_RQ = power_law(law_R3, np.array([40.0, 80.0, 1e6]), unit=40.0)
    assert (further_RQ >= 0).all()
    assert (np.diff(further_RQ, axis=1) <= 1e-12).all()
    assert (law_R3[:, 0] > 0).any(), "a fit on the border must not be the only one"


def test_the_fit_is_the_best_of_a_fine_search():
    error_RP = np.sort(np.random.default_rng(1).random((5, 4)))[:, ::-1]
    found = fit_power_law(IMAGES, error_RP)
    missed_R = ((power_law(found, IMAGES, unit=40.0) - error_RP) ** 2).sum(axis=1)
    a, b = np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 60))
    for c in np.linspace(0.1, 1.5, 29):
        grid = np.stack([a.ravel(), b.ravel(), np.full(a.size, c)], axis=1)
        missed = ((power_law(grid, IMAGES, unit=40.0)[:, None] - error_RP) ** 2).sum(axis=2).min(axis=0)
        assert (missed_R <= missed + 1e-12).all()
