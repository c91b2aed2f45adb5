"""Exact coverage of the printed interval for a rate, as benchmarks/coverage.py sums it."""

import numpy as np
import pytest
from benchmarks.coverage import STEP, rate_coverage, windowed
from scipy import stats


@pytest.mark.parametrize(
    ("n", "least", "anywhere"),
    [(100, 0.915, 0.92), (1_000, 0.94, 0.938), pytest.param(10_000, 0.94, 0.944, marks=pytest.mark.slow)],
)
def test_wilson_covers_as_promised_on_average_and_never_far_less(n: int, least: float, anywhere: float):
    """At rates of whole per cent never less than `least`; between them a discrete statistic dips a little lower."""
    _, covered = rate_coverage(n, "wilson")
    assert np.abs(windowed(covered) - 0.95).max() < 0.01
    assert covered[:: round(0.01 / STEP)].min() >= least
    assert covered.min() > anywhere


@pytest.mark.parametrize("n", [100, 1_000])
def test_clopper_pearson_never_covers_less(n: int):
    assert rate_coverage(n, "clopper-pearson")[1].min() >= 0.95


def test_the_normal_interval_would_not_do():
    """The twin: Wald's interval at n = 100 covers a rate of 0.99 in 63%, since at 100 of 100 it has no width."""
    count = np.arange(101)
    half = 1.96 * np.sqrt(count / 100 * (1 - count / 100) / 100)
    held = (count / 100 - half <= 0.99) & (count / 100 + half >= 0.99)
    assert stats.binom.pmf(count, 100, 0.99)[held].sum() == pytest.approx(0.63, abs=0.01)
