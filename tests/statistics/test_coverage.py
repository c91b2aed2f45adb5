"""Exact coverage of the printed interval for a rate, as benchmarks/coverage.py sums it."""

import numpy as np
import pytest
from benchmarks.coverage import STEP, least_coverage, rate_coverage, windowed
from scipy import stats

from vitrail.statistics.intervals import wilson


@pytest.mark.parametrize(
    ("n", "least", "anywhere"),
    [(100, 0.915, 0.915), (1_000, 0.94, 0.937), pytest.param(10_000, 0.94, 0.944, marks=pytest.mark.slow)],
)
def test_wilson_covers_as_promised_on_average_and_never_far_less(n: int, least: float, anywhere: float):
    """At rates of whole per cent never less than `least`; between them a discrete statistic dips a little lower."""
    _, covered = rate_coverage(n, "wilson")
    assert covered[:: round(0.01 / STEP)].min() >= least
    assert covered.min() >= least_coverage(n, "wilson")[0] > anywhere
    rate_P, mean_P = windowed(n, "wilson")
    assert (rate_P[0], rate_P[-1]) == pytest.approx((0.5, 0.99))
    assert np.abs(mean_P - 0.95).max() < 0.01


def test_a_window_is_the_mean_of_its_rates_and_is_cut_before_one():
    rate_P, mean_P = windowed(100, "wilson")
    count = np.arange(101)
    intervals = [wilson(int(k), 100) for k in count]
    low, high = (np.array([getattr(one, end) for one in intervals]) for end in ("low", "high"))

    def covered(rate: float) -> float:
        return float(stats.binom.pmf(count, 100, rate)[(low <= rate) & (rate <= high)].sum())

    for place in (0, 500, len(rate_P) - 1):
        around = [rate for rate in rate_P[place] + STEP * np.arange(-40, 41) if rate < 1 - STEP / 2]
        assert mean_P[place] == pytest.approx(np.mean([covered(rate) for rate in around]), abs=1e-9)


@pytest.mark.parametrize("n", [100, 1_000])
def test_clopper_pearson_never_covers_less(n: int):
    assert rate_coverage(n, "clopper-pearson")[1].min() >= least_coverage(n, "clopper-pearson")[0] >= 0.95


def test_the_normal_interval_would_not_do():
    """The twin: Wald's interval at n = 100 covers a rate of 0.99 in 63%, since at 100 of 100 it has no width."""
    count = np.arange(101)
    half = 1.96 * np.sqrt(count / 100 * (1 - count / 100) / 100)
    held = (count / 100 - half <= 0.99) & (count / 100 + half >= 0.99)
    assert stats.binom.pmf(count, 100, 0.99)[held].sum() == pytest.approx(0.63, abs=0.01)
