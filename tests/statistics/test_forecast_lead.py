import numpy as np
import pytest

from vitrail.statistics.forecast_lead import forecast_lead

SIZES, ALL = (500, 1_000, 2_000), 16_000


def draw_leads(generator, slope, group=1):
    """Leads of a head that is behind by slope (n^-1/2 - all^-1/2), and level with the other on all images."""
    mood_N = np.repeat(generator.random(SIZES[-1] // group), group)  # the same at each look, and within a group
    leads = []
    for n in SIZES:
        behind = slope * (n**-0.5 - ALL**-0.5)
        right_a = mood_N[:n] + 0.4 * generator.random(n) < 0.8 - behind
        right_b = mood_N[:n] + 0.4 * generator.random(n) < 0.8
        leads.append(right_a.astype(np.int64) - right_b)
    return leads


def test_the_gain_is_that_of_the_law_on_average():
    wanted = 2.0 * (SIZES[-1] ** -0.5 - ALL**-0.5)
    gains = [forecast_lead(draw_leads(np.random.default_rng(seed), 2.0), ALL).gain for seed in range(200)]
    assert np.mean(gains) == pytest.approx(wanted, abs=3 * np.std(gains) / np.sqrt(200))
    assert wanted > 0.02


@pytest.mark.parametrize("group", [1, 20])
def test_the_upper_limit_lies_below_the_truth_as_seldom_as_two_standard_errors_say(group):
    group_N = None if group == 1 else np.arange(SIZES[-1]) // group
    highs = [
        forecast_lead(draw_leads(np.random.default_rng(seed), 0.5, group), ALL, group_N).high for seed in range(400)
    ]
    below = np.mean(np.array(highs) < 0)  # the truth: level on all images
    assert 0.005 < below < 0.05


def test_without_groups_the_limit_of_grouped_rows_would_be_too_low():
    """The negative twin: rows of a group move together."""
    group_N = np.arange(SIZES[-1]) // 20
    leads = draw_leads(np.random.default_rng(0), 1.0, group=20)
    repeated = [np.repeat(lead[::20], 20) for lead in leads]
    assert forecast_lead(repeated, ALL, group_N).high > forecast_lead(repeated, ALL).high + 0.01


def test_a_lead_that_never_changes_is_to_stay_as_it_is():
    leads = [np.tile([1, 0, -1, 0, 0], n // 5) for n in SIZES]
    forecast = forecast_lead(leads, ALL)
    assert forecast.gain == 0
    assert forecast.high == pytest.approx(2 * np.sqrt(0.4 / SIZES[-1]))
