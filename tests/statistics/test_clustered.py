"""Groups widen what they must, by simulated coverage; and where every group is one image nothing changes."""

import numpy as np
import pytest
from scipy import stats

from vitrail.statistics.clustered import clustered_mcnemar, clustered_rate, pair_effect
from vitrail.statistics.intervals import wilson
from vitrail.statistics.paired import mcnemar_exact, paired_difference


def test_groups_of_one_change_little():
    correct_N = np.arange(400) % 5 > 0
    alone = clustered_rate(correct_N, np.arange(400))
    plain = wilson(320, 400)
    assert (alone.value, alone.low, alone.high) == pytest.approx((plain.value, plain.low, plain.high), abs=1e-3)


def test_doubled_images_tell_no_more_than_single_ones():
    correct_N = np.arange(300) % 4 > 0
    single, doubled = correct_N, np.repeat(correct_N, 2)
    wanted = clustered_rate(single, np.arange(300))
    found = clustered_rate(doubled, np.repeat(np.arange(300), 2))
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    assert wilson(450, 600).low > found.low + 0.005  # the twin: as if they were independent


def test_without_an_error_every_group_is_one_example():
    found = clustered_rate(np.ones(100, dtype=bool), np.arange(100) // 10)
    assert (found.low, found.high) == pytest.approx((wilson(10, 10).low, 1.0))


def test_the_effect_of_a_pair_is_one_for_single_images_and_the_size_for_equal_groups():
    draws = np.random.default_rng(0)
    lead_N = draws.integers(-1, 2, 500)
    assert pair_effect(lead_N, np.arange(500)) == 1.0
    assert pair_effect(np.repeat(lead_N, 3), np.repeat(np.arange(500), 3)) == pytest.approx(3.0)
    assert pair_effect(np.zeros(5, dtype=np.int64), np.zeros(5, dtype=np.int64)) == 1.0


def test_for_single_images_the_test_is_mcnemars_up_to_its_approximation():
    lead_N = np.repeat([1, -1, 0], [80, 50, 300])
    assert clustered_mcnemar(lead_N, np.arange(430)) == pytest.approx(mcnemar_exact(80, 50), abs=0.004)
    assert clustered_mcnemar(lead_N, np.zeros(430, dtype=np.int64)) == 1.0


def draw_groups(draws, groups, size):
    """Which of A and B is right: shared luck of a group makes its images go together."""
    luck_G = draws.normal(size=groups)
    group_N = np.repeat(np.arange(groups), size)
    a, b = (luck_G[group_N] + draws.normal(size=groups * size) < 0.8 for _ in range(2))
    turned_G = draws.random(groups) < 0.5  # in half of the groups another A is right: leads go together too
    return np.where(turned_G[group_N], a, luck_G[group_N] < 0.2), b, group_N


def test_intervals_and_tests_hold_for_groups_where_those_for_single_images_do_not():
    draws = np.random.default_rng(1)
    truth_a = 0.5 * (stats.norm.cdf(0.8 / 2**0.5) + stats.norm.cdf(0.2))
    truth_b = float(stats.norm.cdf(0.8 / 2**0.5))
    covered, covered_alone, rejected, rejected_alone = [], [], [], []
    for _ in range(300):
        a_N, b_N, group_N = draw_groups(draws, 60, 8)
        found, alone = clustered_rate(b_N, group_N), wilson(int(b_N.sum()), len(b_N))
        covered.append(found.low <= truth_b <= found.high)
        covered_alone.append(alone.low <= truth_b <= alone.high)
        lead_N = a_N.astype(np.int64) - b_N
        effect, n = pair_effect(lead_N, group_N), len(lead_N)
        counts = int((lead_N == 1).sum()), int((lead_N == -1).sum())
        scaled = paired_difference(counts[0] / effect, counts[1] / effect, n / effect)
        plain = paired_difference(*counts, n)
        truth = truth_a - truth_b
        rejected.append(not scaled.low <= truth <= scaled.high)
        rejected_alone.append(not plain.low <= truth <= plain.high)
    assert np.mean(covered) > 0.92
    assert np.mean(covered_alone) < 0.85
    assert np.mean(rejected) < 0.08
    assert np.mean(rejected_alone) > 0.12
