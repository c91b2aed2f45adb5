"""Calibration: binning, the null of STYLE 5.26, and an interval that covers where the bootstrap does not."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from vitrail.statistics.calibration_error import (
    BINS,
    ece,
    ece_equal_mass,
    ece_null,
    reliability,
    reliability_equal_mass,
)


def plain_ece(confidence_N, correct_N, bins=BINS):
    """The definition, written out bin by bin."""
    total = 0.0
    for j in range(bins):
        inside = (confidence_N > j / bins) & (confidence_N <= (j + 1) / bins)
        if j == 0:
            inside |= confidence_N == 0
        if inside.any():
            total += inside.mean() * abs(correct_N[inside].mean() - confidence_N[inside].mean())
    return total


def judge(confidence_N, correct_N, seed=0):
    return ece(np.asarray(confidence_N), np.asarray(correct_N), generator=np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_ece_is_its_definition(seed):
    generator = np.random.default_rng(seed)
    confidence_N = generator.random(700)
    correct_N = generator.random(700) < confidence_N**2
    assert judge(confidence_N, correct_N).value == pytest.approx(plain_ece(confidence_N, correct_N), abs=1e-12)


def test_bins_are_closed_on_the_right_and_zero_falls_into_the_first():
    edges_N = np.array([0.0, 0.2, 0.4, 0.4000001, 1.0])
    bins = reliability(edges_N, np.ones(5, dtype=bool), bins=5)
    assert [(round(b.low, 1), round(b.high, 1), b.n) for b in bins] == [
        (0.0, 0.2, 2),
        (0.2, 0.4, 1),
        (0.4, 0.6, 1),
        (0.8, 1.0, 1),
    ]
    assert sum(b.n for b in bins) == 5


@pytest.mark.parametrize(("n", "expected"), [(100, 0.088), (1000, 0.029), (10_000, 0.009)])
def test_a_perfectly_calibrated_model_shows_the_null(n, expected):
    # Confidences spread evenly over [0.5, 1], as of a middling classifier.
    generator = np.random.default_rng(5)
    nulls, shown = [], []
    for _ in range(300):
        confidence_N = generator.uniform(0.5, 1.0, n)
        nulls.append(ece_null(reliability(confidence_N, np.zeros(n, dtype=bool))))
        shown.append(plain_ece(confidence_N, generator.random(n) < confidence_N))
    assert np.mean(nulls) == pytest.approx(expected, abs=0.0015)
    assert np.mean(nulls) == pytest.approx(np.mean(shown), rel=0.03)


def test_the_null_of_one_bin_is_the_mean_absolute_deviation_of_a_binomial():
    counts = np.arange(51)
    deviation = (stats.binom.pmf(counts, 50, 0.83) * np.abs(counts / 50 - 0.83)).sum()
    assert ece_null(reliability(np.full(50, 0.83), np.ones(50, dtype=bool))) == pytest.approx(deviation, abs=1e-10)


def test_certainty_has_no_null_and_errors_of_it_are_all_real():
    calibration = judge(np.ones(400), np.arange(400) >= 40)
    assert calibration.null == 0
    assert calibration.value == pytest.approx(0.1)
    assert calibration.debiased == pytest.approx(0.1)
    assert calibration.high == pytest.approx(0.135, abs=0.01)


def test_below_the_null_nothing_is_left_of_the_error():
    confidence_N = np.full(100, 0.5)
    correct_N = np.arange(100) < 51
    calibration = judge(confidence_N, correct_N)
    assert calibration.value == pytest.approx(0.01)
    assert (calibration.debiased, calibration.low) == (0.0, 0.0)
    assert calibration.null == pytest.approx(0.04, abs=0.001)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
@settings(max_examples=60)
@example([(1.1125369292536007e-308, False)] * 2)
def test_the_interval_holds_its_value_inside_zero_and_one(rows):
    confidences, corrects = zip(*rows, strict=True)
    calibration = judge(np.array(confidences), np.array(corrects))
    assert 0 <= calibration.low <= calibration.value <= calibration.high <= 1
    assert 0 <= calibration.debiased <= calibration.value
    assert calibration.null >= 0


def test_the_same_seed_gives_the_same_interval_and_another_nearly():
    generator = np.random.default_rng(6)
    confidence_N = generator.uniform(0.4, 1, 800)
    correct_N = generator.random(800) < confidence_N - 0.05
    first, again, other = (judge(confidence_N, correct_N, seed) for seed in (0, 0, 1))
    assert first == again
    assert (other.low, other.high) == pytest.approx((first.low, first.high), abs=0.01)


def coverage(shape, error, n, draws, seed):
    """How often the interval holds the error of a large population, and a percentile bootstrap's does."""
    generator = np.random.default_rng(seed)
    population = shape(generator, 1_000_000)
    right = np.clip(error(population), 0, 1)
    bin_N = np.clip(np.ceil(population * BINS).astype(int) - 1, 0, BINS - 1)
    truth = np.abs(np.bincount(bin_N, weights=right - population, minlength=BINS)).sum() / len(population)
    held = 0
    for _ in range(draws):
        rows = generator.integers(0, len(population), n)
        calibration = ece(population[rows], generator.random(n) < right[rows], generator=generator)
        held += calibration.low <= truth + 1e-12 and calibration.high >= truth - 1e-12
    return held / draws


def broad(generator, n):
    return generator.beta(2, 1.2, n) * 0.9 + 0.1


def high(generator, n):
    return 1 - 0.6 * generator.beta(0.5, 4, n)


ERRORS = {
    "none": lambda c: c,
    "a little overconfident": lambda c: c - 0.02,
    "overconfident": lambda c: c - 0.05,
    "very overconfident": lambda c: c - 0.15,
    "in one bin": lambda c: np.where(c > 14 / 15, c - 0.06, c),
    "up and down": lambda c: c + 0.05 * np.where((c * BINS).astype(int) % 2, 1, -1),
}


@pytest.mark.parametrize("error", ["none", "overconfident", "in one bin"])
def test_the_interval_covers_the_true_error(error):
    assert coverage(high, ERRORS[error], 300, 300, 7) >= 0.93


def test_a_bootstrap_interval_never_covers_a_calibrated_model():
    generator = np.random.default_rng(8)
    confidence_N = generator.uniform(0.5, 1, 300)
    correct_N = generator.random(300) < confidence_N
    drawn = generator.integers(0, 300, (300, 300))
    bootstrap = [plain_ece(confidence_N[rows], correct_N[rows]) for rows in drawn]
    assert np.quantile(bootstrap, 0.025) > 0.02
    assert judge(confidence_N, correct_N).low == 0


@pytest.mark.slow
@pytest.mark.parametrize("shape", [broad, high])
@pytest.mark.parametrize("error", ERRORS)
def test_the_interval_covers_many_shapes_of_error(shape, error):
    for n in (300, 2000):
        assert coverage(shape, ERRORS[error], n, 400, 9) >= 0.92


def test_bins_of_equal_mass_hold_equally_many_and_part_no_equals():
    draws = np.random.default_rng(5)
    confidence_N = draws.uniform(0.5, 1.0, 150)
    filled = reliability_equal_mass(confidence_N, draws.random(150) < confidence_N)
    assert [one.n for one in filled] == [10] * 15
    assert sum(one.n * one.confidence for one in filled) == pytest.approx(confidence_N.sum())
    tied = reliability_equal_mass(np.repeat([0.6, 0.9], [40, 60]), np.arange(100) % 2 == 0)
    assert [(one.n, one.low, one.high) for one in tied] == [(40, 0.6, 0.6), (60, 0.9, 0.9)]


def test_the_equal_mass_error_is_that_of_its_bins_and_has_its_own_null():
    draws = np.random.default_rng(6)
    confidence_N = draws.uniform(0.4, 1.0, 1000)
    correct_N = draws.random(1000) < confidence_N - 0.1
    found = ece_equal_mass(confidence_N, correct_N, generator=np.random.default_rng(0))
    order = np.argsort(confidence_N)
    parts = np.array_split(order, 10)
    by_hand = sum(len(p) * abs(correct_N[p].mean() - confidence_N[p].mean()) for p in parts) / 1000
    assert ece_equal_mass(confidence_N, correct_N, generator=np.random.default_rng(0), bins=10).value == pytest.approx(
        by_hand
    )
    assert found.low <= 0.1 <= found.high
    assert found.null < 0.05 < found.debiased
