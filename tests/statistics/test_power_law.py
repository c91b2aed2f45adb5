import numpy as np
import pytest
from scipy import stats

from vitrail.statistics.power_law import EXPONENTS, forecast_gain

IMAGES_P = np.array([10.0, 20.0, 40.0, 80.0])


@pytest.mark.parametrize(("a", "b", "c"), [(0.1, 0.3, 0.5), (0.0, 0.2, 1.0), (0.25, 0.05, 0.1), (0.05, 0.02, 1.5)])
def test_a_curve_that_is_a_power_law_gives_its_gain(a, b, c):
    error_P = a + b * (IMAGES_P / 100) ** -c
    gain = forecast_gain(IMAGES_P, error_P, 1e-7 * np.eye(4), start=100.0, level=0.9)
    wanted = b * (1 - 2**-c)
    assert gain.value == pytest.approx(wanted, rel=0.02, abs=5e-4)
    assert gain.low <= wanted + 5e-4
    assert gain.high >= wanted - 5e-4
    assert gain.missed < 1


def test_the_gain_is_from_the_start_and_not_from_the_last_point():
    error_P = 0.3 * (IMAGES_P / 80) ** -0.5
    gains = [forecast_gain(IMAGES_P, error_P, 1e-8 * np.eye(4), start=n, level=0.9).value for n in (80.0, 100.0)]
    assert gains == pytest.approx([0.3 * (1 - 2**-0.5), 0.3 * 0.8**0.5 * (1 - 2**-0.5)], rel=0.02)


def test_a_curve_that_falls_has_no_gain_and_misses():
    gain = forecast_gain(IMAGES_P, np.array([0.2, 0.25, 0.3, 0.35]), 1e-5 * np.eye(4), start=80.0, level=0.9)
    assert (gain.value, gain.low) == (0.0, 0.0)
    assert gain.missed > 9


def test_the_interval_holds_the_best_gain_and_widens_with_the_noise():
    error_P = 0.1 + 0.1 * (IMAGES_P / 80) ** -0.5
    sharp, blunt = (forecast_gain(IMAGES_P, error_P, v * np.eye(4), start=80.0, level=0.9) for v in (1e-6, 1e-4))
    assert blunt.low <= sharp.low <= sharp.value <= sharp.high <= blunt.high
    assert blunt.high - blunt.low > 1.5 * (sharp.high - sharp.low)


@pytest.mark.parametrize("seed", range(6))
def test_gain_and_limits_are_those_of_a_search_over_all_laws(seed):
    draws = np.random.default_rng(seed)
    a, b, c = draws.choice([0.0, 0.1]), draws.uniform(0.01, 0.2), draws.uniform(0.1, 1.4)
    part_PP = 0.01 * draws.normal(size=(4, 4))
    covariance_PP = part_PP @ part_PP.T + 1e-5 * np.eye(4) + 1e-3 * (seed % 2)  # some with a luck that all points share
    error_P = a + b * (IMAGES_P / 100) ** -c + draws.multivariate_normal(np.zeros(4), covariance_PP)
    gain = forecast_gain(IMAGES_P, error_P, covariance_PP, start=100.0, level=0.9)
    gain_T, weight_PP = np.linspace(0, 0.4, 20_001), np.linalg.inv(covariance_PP)
    plain_T, late_T = np.full((2, len(gain_T)), np.inf)
    for distance_T, shift in ((plain_T, 0.0), (late_T, IMAGES_P[0])):
        for exponent in EXPONENTS:
            share = 1 - ((200 + shift) / (100 + shift)) ** -exponent
            left_TP = error_P - (gain_T / share)[:, None] * ((IMAGES_P + shift) / (100 + shift)) ** -exponent
            a_T = np.maximum(0.0, left_TP @ weight_PP.sum(axis=0) / weight_PP.sum())
            left_TP -= a_T[:, None]
            distance_T[:] = np.minimum(distance_T, ((left_TP @ weight_PP) * left_TP).sum(axis=1))
    missed, nearest_T = plain_T.min(), np.minimum(plain_T, late_T)
    low = gain_T[nearest_T <= missed + stats.chi2.ppf(0.9, 1)].min()
    high = gain_T[nearest_T <= missed + stats.chi2.ppf(0.9, 2)].max()
    assert (gain.value, gain.low, gain.high) == pytest.approx((gain_T[plain_T.argmin()], low, high), abs=3e-4)
    assert gain.missed == pytest.approx(missed, abs=0.02)


def test_points_without_a_wrong_image_have_a_forecast_near_nothing():
    gain = forecast_gain(IMAGES_P, np.zeros(4), np.zeros((4, 4)), start=80.0, level=0.9)
    assert gain.value == gain.low == 0.0
    assert gain.high < 0.001


def test_a_curve_that_falls_fast_and_then_stays_need_not_fall_any_further():
    """Between a steep law and one that has reached its end, few images cannot tell."""
    images_P, error_P = np.array([14.5, 28.8, 57.3, 114.4]), np.array([0.1086, 0.0320, 0.0160, 0.0139])
    gain = forecast_gain(images_P, error_P, np.diag(error_P) / 1437, start=143.0, level=0.9)
    assert gain.low < 1e-4 < gain.high


def test_a_curve_that_falls_late_is_inside_the_interval():
    """As classes of several kinds do: half of the gain is yet to come, which a power law of the points leaves out."""
    error_P = 0.3 * ((IMAGES_P + 10) / 110) ** -0.9
    gain = forecast_gain(IMAGES_P, error_P, 2e-6 * np.eye(4), start=100.0, level=0.9)
    assert gain.low < 0.3 * (1 - (210 / 110) ** -0.9) < gain.high
