"""Paired tests and intervals against statsmodels, published worked examples and simulated coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from vitrail.evaluation.pairs import CAUTION
from vitrail.statistics.paired import (
    equivalence_p,
    images_for_margin,
    images_needed,
    mcnemar_exact,
    mcnemar_score,
    noninferiority_p,
    paired_difference,
    visible_difference,
)

# only_a, only_b, n, level, low, high, digits
PUBLISHED = [
    (9, 3, 32, 0.95, -0.027, 0.390, 3),  # Tango 1998, Statistics in Medicine 17:891-908: cross-over trial
    (0, 1, 44, 0.90, -0.096, 0.037, 3),  # the same paper: disinfection of contact lenses
    (16, 8, 86, 0.95, -0.020, 0.207, 3),  # Agresti and Min 2005, Statistics in Medicine 24:729-740
    (3, 1, 14, 0.95, -0.1670, 0.4327, 4),  # Tang et al. 2010, Statistics in Medicine
    (1, 7, 21, 0.95, -0.517, -0.026, 3),  # Fagerland et al. 2014, Statistics in Medicine 33:2850-2875
    (6, 16, 161, 0.95, -0.1240, -0.0054, 4),  # Fagerland et al. 2017, Statistical Analysis of Contingency Tables
]


@st.composite
def discordances(draw, most=2000):
    n = draw(st.integers(1, most))
    only_a = draw(st.integers(0, n))
    return only_a, draw(st.integers(0, n - only_a)), n


@pytest.mark.parametrize(("only_a", "only_b", "n", "level", "low", "high", "digits"), PUBLISHED)
def test_the_paired_interval_gives_the_published_values(only_a, only_b, n, level, low, high, digits):
    interval = paired_difference(only_a, only_b, n, level)
    assert (round(interval.low, digits), round(interval.high, digits)) == (low, high)


@given(discordances())
def test_the_paired_interval_holds_its_value_and_turns_with_the_pair(counts):
    only_a, only_b, n = counts
    ours, theirs = paired_difference(only_a, only_b, n), paired_difference(only_b, only_a, n)
    assert -1 <= ours.low <= ours.value <= ours.high <= 1
    assert ours.low < ours.high
    assert (ours.low, ours.high) == pytest.approx((-theirs.high, -theirs.low), abs=1e-10)


@given(discordances())
def test_the_paired_interval_excludes_zero_where_the_score_test_of_mcnemar_rejects(counts):
    only_a, only_b, n = counts
    if only_a + only_b:
        z = (only_a - only_b) / math.sqrt(only_a + only_b)
        interval = paired_difference(only_a, only_b, n)
        if abs(abs(z) - 1.959964) > 1e-4:
            assert (interval.low > 0 or interval.high < 0) == (abs(z) > 1.959964)


def test_without_discordances_the_interval_is_that_of_a_rate_not_seen():
    interval = paired_difference(0, 0, 100)
    z2 = stats.norm.ppf(0.975) ** 2
    assert (interval.low, interval.high) == pytest.approx((-z2 / (100 + z2), z2 / (100 + z2)), abs=1e-9)


def test_with_all_discordances_on_one_side_the_interval_ends_at_one():
    assert paired_difference(30, 0, 30).high == 1.0
    assert paired_difference(0, 30, 30).low == -1.0
    assert 0 < paired_difference(30, 0, 30).low < 1


def test_one_example_leaves_nearly_everything_possible():
    interval = paired_difference(0, 0, 1)
    assert interval.high - interval.low > 1.5


@given(discordances())
def test_mcnemar_agrees_with_statsmodels(counts):
    only_a, only_b, n = counts
    if only_a + only_b:
        expected = mcnemar([[n - only_a - only_b, only_a], [only_b, 0]], exact=True).pvalue
        assert mcnemar_exact(only_a, only_b) == pytest.approx(expected, abs=1e-10)


def test_mcnemar_without_discordances_sees_nothing():
    assert mcnemar_exact(0, 0) == 1.0


def test_mcnemar_gives_the_published_value():
    # Fagerland et al. 2017, complete response before and after consolidation therapy.
    assert mcnemar_exact(6, 16) == pytest.approx(0.052479, abs=1e-6)


# R, exact2x2::mcnemar.exact and mcnemar.test(correct = FALSE) of matrix(c(23, 15, 19, 31), 2), as kept by statsmodels
# (stats/tests/results/contingency_table_r_results.csv): only_a, only_b, exact p, p of the score test.
FROM_R = [(15, 19, 0.60759136127308, 0.492716677227088)]


@pytest.mark.parametrize(("only_a", "only_b", "exact", "score"), FROM_R)
def test_both_tests_of_mcnemar_give_the_values_of_r(only_a, only_b, exact, score):
    assert mcnemar_exact(only_a, only_b) == pytest.approx(exact, abs=1e-10)
    assert 2 * noninferiority_p(only_b, only_a, 88, 1e-13) == pytest.approx(score, abs=1e-10)


@given(discordances(), st.sampled_from([0.8, 0.95, 0.999]))
def test_the_score_test_rejects_where_the_interval_leaves_out_zero(counts, level):
    only_a, only_b, n = counts
    p = mcnemar_score(only_a, only_b)
    interval = paired_difference(only_a, only_b, n, level)
    if abs(p - (1 - level)) > 1e-6:
        assert (interval.low > 0 or interval.high < 0) == (p < 1 - level)


@given(discordances(), st.sampled_from([0.01, 0.02, 0.1]))
def test_a_loss_is_excluded_if_the_interval_is_above_the_margin(counts, margin):
    only_a, only_b, n = counts
    p = noninferiority_p(only_a, only_b, n, margin)
    if abs(p - 0.025) > 1e-6:
        assert (paired_difference(only_a, only_b, n, 0.95).low > -margin) == (p < 0.025)


def test_the_score_test_at_no_margin_is_mcnemars_without_correction():
    assert noninferiority_p(16, 6, 161, 1e-12) == pytest.approx(stats.norm.sf(10 / math.sqrt(22)), abs=1e-8)


@given(discordances(), st.sampled_from([0.01, 0.02, 0.1]))
def test_equivalence_is_shown_if_the_interval_is_within_the_margin(counts, margin):
    only_a, only_b, n = counts
    p = equivalence_p(only_a, only_b, n, margin)
    interval = paired_difference(only_a, only_b, n, 0.90)
    inside = -margin < interval.low and interval.high < margin
    assert 0 <= p <= 1
    if abs(p - 0.05) > 1e-6:
        assert inside == (p < 0.05)


def test_images_needed_gives_the_published_value():
    # Connor 1987, Biometrics 43:207-211, as on the power calculators: discordances 0.45 and 0.05 need 23 pairs.
    assert math.ceil(images_needed(0.40, 0.50)) == 23


@pytest.mark.parametrize(("n", "points"), [(100, 10.8), (200, 7.7), (500, 4.9), (1000, 3.4), (3669, 1.8), (8580, 1.2)])
def test_the_visible_difference_at_15_percent_discordance(n, points):
    assert 100 * visible_difference(0.15, n) == pytest.approx(points, abs=0.1)
    assert images_needed(visible_difference(0.15, n), 0.15) == pytest.approx(n, rel=0.05)


def test_no_difference_needs_infinitely_many_images_but_a_margin_does_not():
    assert images_needed(0.0, 0.1) == math.inf
    assert images_for_margin(0.0, 0.1, 0.01) == pytest.approx(7.849 * 0.1 / 0.01**2, rel=1e-3)
    assert images_for_margin(0.01, 0.1, 0.01) == math.inf
    assert images_for_margin(-0.01, 0.1, 0.01) < images_for_margin(0.0, 0.1, 0.01)


def test_with_the_needed_images_the_difference_is_found_at_the_requested_rate():
    generator = np.random.default_rng(0)
    difference, discordance = 0.04, 0.12
    n = math.ceil(images_needed(difference, discordance))
    odds = [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
    draws = generator.multinomial(n, odds, size=2000)
    seen = np.mean([mcnemar_exact(int(a), int(b)) < 0.05 for a, b, _ in draws])
    assert seen == pytest.approx(0.8, abs=0.04)  # the exact test is a little weaker than the formula's


def covered(only_a, only_b, n, truth):
    """Whether Tango's interval holds the truth, by its own score test, for arrays of counts."""
    b = -only_a - only_b + (2 * n - only_a + only_b) * truth
    c = -only_b * truth * (1 - truth)
    q = (np.sqrt(np.maximum(0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * q + truth * (1 - truth))
    return (only_a - only_b - n * truth) ** 2 <= stats.norm.ppf(0.975) ** 2 * variance + 1e-9


CASES = [(0.1, 0.05), (0.02, 0.0), (0.03, 0.01), (0.05, 0.05), (0.15, 0.05), (0.02, 0.01)]


@pytest.mark.parametrize(("rate_a", "rate_b"), CASES[:3])
def test_the_paired_interval_covers_by_its_own_limits(rate_a, rate_b):
    n, generator = 500, np.random.default_rng(1)
    draws, times = np.unique(
        generator.multinomial(n, [rate_a, rate_b, 1 - rate_a - rate_b], size=3000), axis=0, return_counts=True
    )
    intervals = [paired_difference(int(a), int(b), n) for a, b, _ in draws]
    held = [i.low <= rate_a - rate_b <= i.high for i in intervals]
    assert np.average(held, weights=times) == pytest.approx(0.95, abs=0.02)


def test_walds_interval_does_not_cover_where_discordances_are_few():
    n, generator = 100, np.random.default_rng(2)
    draws = generator.multinomial(n, [0.02, 0.0, 0.98], size=4000).astype(float)
    difference = draws[:, 0] / n
    half = 1.96 * np.sqrt((difference - difference**2) / n)
    assert np.mean((difference - half <= 0.02) & (difference + half >= 0.02)) < 0.90
    assert np.mean(covered(draws[:, 0], draws[:, 1], n, 0.02)) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300, 1000, 10_000])
def test_the_paired_interval_covers_what_it_promises(n):
    generator = np.random.default_rng(3)
    for rate_a, rate_b in CASES:
        draws = generator.multinomial(n, [rate_a, rate_b, 1 - rate_a - rate_b], size=50_000).astype(float)
        held = np.mean(covered(draws[:, 0], draws[:, 1], n, rate_a - rate_b))
        assert held >= 0.925
        if n * (rate_a + rate_b) >= 10:
            assert held == pytest.approx(0.95, abs=0.018)  # a lattice of counts cannot do better everywhere


@pytest.mark.slow
def test_neither_test_rejects_more_often_than_it_may():
    generator = np.random.default_rng(4)
    n, margin = 2000, 0.02
    same = generator.multinomial(n, [0.06, 0.06, 0.88], size=5000)
    assert np.mean([mcnemar_exact(int(a), int(b)) < 0.05 for a, b, _ in same]) <= 0.05 + 0.006
    at_margin = generator.multinomial(n, [0.07, 0.05, 0.88], size=5000)
    assert np.mean([equivalence_p(int(a), int(b), n, margin) < 0.05 for a, b, _ in at_margin]) <= 0.05 + 0.008


def one_sided_failure(n, rate_a, rate_b, alpha):
    """The exact chance that Tango's upper limit at level 1 - 2 alpha lies below the true difference."""
    a, b = np.triu_indices(n + 1)
    only_a, only_b = a, n - b  # all pairs of counts of which the sum is n at most
    count_P3 = np.stack([only_a, only_b, n - only_a - only_b], axis=1)
    chance = stats.multinomial.pmf(count_P3, n, [rate_a, rate_b, 1 - rate_a - rate_b])
    failed = 0.0
    for x, y, p in zip(only_a.tolist(), only_b.tolist(), chance.tolist(), strict=True):
        if p > 1e-9 and noninferiority_p(y, x, n, rate_a - rate_b) < alpha:
            failed += p
    return failed


@pytest.mark.parametrize(("n", "discordance", "difference"), [(100, 0.05, 0.01), (50, 0.1, 0.02), (100, 0.3, 0.06)])
def test_a_one_sided_limit_fails_little_more_often_than_it_may_and_no_more_with_caution(n, discordance, difference):
    rates = (discordance + difference) / 2, (discordance - difference) / 2
    assert 0.05 < one_sided_failure(n, *rates, 0.05) < 0.0555
    assert one_sided_failure(n, *rates, CAUTION * 0.05) <= 0.05
