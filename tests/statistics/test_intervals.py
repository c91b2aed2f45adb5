"""Intervals against scipy, statsmodels, published values and simulated coverage."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from vitrail.statistics.abstention import confident_enough
from vitrail.statistics.intervals import effective_wilson, mean_interval, wilson

# Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3 (score, without continuity correction).
NEWCOMBE = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]

# R, binom::binom.confint(x, n, tol = 1e-8), as statsmodels keeps it (stats/tests/results/results_proportion.py):
# correct, total, "wilson" low and high, "exact" low (Clopper-Pearson).
FROM_R = [
    (18, 20, 0.6989663547715128, 0.972133518786232, 0.6830172859809176),
    (4, 20, 0.0806576625797981, 0.4160174322518935, 0.05733399705003284),
    (4, 200, 0.00780442641634947, 0.05028708690582643, 0.005475565879556443),
    (190, 200, 0.910421851861224, 0.972617354399236, 0.9099724622986486),
]


@st.composite
def counts(draw):
    total = draw(st.integers(1, 20_000))
    return draw(st.integers(0, total)), total


@pytest.mark.parametrize(("correct", "total", "low", "high"), NEWCOMBE)
def test_wilson_gives_the_published_values(correct, total, low, high):
    interval = wilson(correct, total)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@pytest.mark.parametrize(("correct", "total", "low", "high", "exact_low"), FROM_R)
def test_wilson_and_the_limit_behind_a_promised_precision_are_those_of_r(correct, total, low, high, exact_low):
    interval = wilson(correct, total)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-10)
    # `confident_enough` with a risk of 2.5% promises just what the exact interval's lower limit carries.
    right_N = np.arange(total) < correct
    for precision, kept in ((exact_low - 1e-10, 1.0), (exact_low + 1e-10, None)):
        assert confident_enough(np.ones(total), right_N, precision=precision, risk=0.025) == kept


@given(counts(), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_wilson_agrees_with_statsmodels(count, level):
    correct, total = count
    interval = wilson(correct, total, level)
    expected = proportion_confint(correct, total, alpha=1 - level, method="wilson")
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-10)


@given(counts())
def test_wilson_holds_its_value_inside_zero_and_one(count):
    interval = wilson(*count)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low < interval.high


def test_at_full_accuracy_wilson_has_a_width_and_the_normal_interval_has_none():
    assert wilson(50, 50).low == pytest.approx(0.9287, abs=1e-4)
    assert wilson(50, 50).high == 1.0
    assert proportion_confint(50, 50, method="normal") == (1.0, 1.0)


def test_one_example_is_enough_for_an_interval():
    assert (wilson(1, 1).low, wilson(1, 1).high) == (pytest.approx(0.2065, abs=1e-4), 1.0)
    assert (wilson(0, 1).low, wilson(0, 1).high) == (0.0, pytest.approx(0.7935, abs=1e-4))


@given(counts())
def test_at_the_true_number_of_examples_the_effective_interval_is_wilsons(count):
    correct, total = count
    plain, effective = wilson(correct, total), effective_wilson(correct / total, total, n=total)
    assert (effective.low, effective.high) == pytest.approx((plain.low, plain.high), abs=1e-10)


def test_wilson_covers_on_average_what_it_promises():
    for n, rate in ((100, 0.85), (100, 0.95), (1000, 0.85), (1000, 0.97)):
        rates = np.linspace(rate - 0.02, rate + 0.02, 41)
        assert mean_coverage(n, rates, "wilson") == pytest.approx(0.95, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "floor"), [(100, 0.915), (1000, 0.94), (10_000, 0.94)])
def test_wilson_covers_at_every_rate_and_clopper_pearson_always_more_than_it_promises(n, floor):
    for rate in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97):
        assert mean_coverage(n, np.linspace(rate - 0.02, rate + 0.02, 41), "wilson") == pytest.approx(0.95, abs=0.01)
    for rate in np.linspace(0.5, 0.99, 99):
        assert mean_coverage(n, [rate], "wilson") >= floor
        assert mean_coverage(n, [rate], "beta") >= 0.95 - 1e-9


def mean_coverage(n, rates, method):
    """Exact, over all counts; the limits are statsmodels', which ours equal."""
    counts = np.arange(n + 1)
    low, high = proportion_confint(counts, n, method=method)
    held = [stats.binom.pmf(counts, n, rate)[(low <= rate) & (rate <= high)].sum() for rate in rates]
    return float(np.mean(held))


def losses(generator, n):
    """NLL of a good classifier: most near zero, a few large."""
    return np.logaddexp(0, -generator.normal(5, 3, n))


def test_the_mean_of_skewed_losses_is_covered_where_student_misses_it():
    truth = losses(np.random.default_rng(0), 4_000_000).mean()
    generator = np.random.default_rng(1)
    held = {"hall": 0, "student": 0}
    for _ in range(1500):
        values = losses(generator, 100)
        interval = mean_interval(values, lowest=0.0, highest=36.0)
        low, high = stats.t.interval(0.95, 99, values.mean(), stats.sem(values))
        held["hall"] += interval.low <= truth <= interval.high
        held["student"] += low <= truth <= high
    assert held["hall"] / 1500 == pytest.approx(0.95, abs=0.02)
    assert held["student"] / 1500 < 0.91


@pytest.mark.slow
def test_the_mean_interval_covers_from_300_examples_on():
    cases = {
        "good": losses,
        "middling": lambda g, n: np.logaddexp(0, -g.normal(2.5, 2.5, n)),
        "overconfident": lambda g, n: np.logaddexp(0, -g.normal(8, 6, n)),
        "brier": lambda g, n: 2 / (1 + np.exp(g.normal(2.5, 2.5, n))) ** 2,
    }
    generator = np.random.default_rng(2)
    for draw in cases.values():
        truth = draw(generator, 10_000_000).mean()
        for n in (300, 2000):
            intervals = [mean_interval(draw(generator, n), lowest=0.0, highest=36.0) for _ in range(1500)]
            assert np.mean([i.low <= truth <= i.high for i in intervals]) == pytest.approx(0.95, abs=0.02)


def test_without_skewness_the_mean_interval_is_students():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    interval = mean_interval(values, lowest=-100.0, highest=100.0)
    expected = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(0, 36), min_size=1, max_size=40))
def test_the_mean_interval_is_finite_and_holds_its_value(values):
    interval = mean_interval(np.array(values), lowest=0.0, highest=36.1)
    assert 0 <= interval.low <= interval.value <= interval.high <= 36.1
    assert all(math.isfinite(limit) for limit in (interval.low, interval.high))


def test_the_mean_of_one_example_may_be_anything():
    interval = mean_interval(np.array([0.4]), lowest=0.0, highest=2.0)
    assert (interval.low, interval.value, interval.high) == (0.0, 0.4, 2.0)


@pytest.mark.parametrize("figure", ["value", "low", "high"])
def test_an_interval_without_numbers_is_refused(figure: str):
    with pytest.raises(ValueError, match="is not an interval"):
        replace(wilson(3, 4), **{figure: math.nan})
