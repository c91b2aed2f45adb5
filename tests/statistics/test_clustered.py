"""Groups widen what they must, by simulated coverage; and where every group is one image nothing changes."""

import itertools
import math

import numpy as np
import pytest
from benchmarks.coverage import FIGURES, draw_grouped, grouped_figures, grouped_truth
from scipy import stats
from statsmodels.regression.linear_model import OLS

from vitrail.statistics import metrics
from vitrail.statistics.clustered import (
    clustered_mcnemar,
    clustered_mean,
    clustered_rate,
    clustered_score,
    design_effect,
    few_groups,
    group_weights,
    pair_effect,
    pair_n,
)
from vitrail.statistics.intervals import effective_wilson, mean_interval, wilson
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


def test_one_group_counts_as_one_example_and_single_images_give_wilsons_interval():
    correct_N = np.arange(40) % 4 > 0
    one = metrics.rate(correct_N, np.full(40, 7))
    assert one.value == 0.75
    assert one.high - one.low > 0.7
    assert metrics.rate(correct_N, np.arange(40)) == metrics.rate(correct_N) == wilson(30, 40)


def test_the_effect_of_a_pair_is_one_for_single_images_and_the_size_for_equal_groups():
    draws = np.random.default_rng(0)
    lead_N = draws.integers(-1, 2, 500)
    assert pair_effect(lead_N, np.arange(500)) == 1.0
    assert pair_effect(np.repeat(lead_N, 3), np.repeat(np.arange(500), 3)) == pytest.approx(3.0)
    assert pair_n(np.zeros(40, dtype=np.int64), np.arange(40) // 8) == 5  # no example tells them apart: one a group
    assert pair_n(np.repeat(lead_N, 3), np.repeat(np.arange(500), 3)) == pytest.approx(500 * few_groups(500, 0.95))


def test_for_single_images_the_test_is_mcnemars_up_to_its_approximation():
    lead_N = np.repeat([1, -1, 0], [80, 50, 300])
    assert clustered_mcnemar(lead_N, np.arange(430)) == pytest.approx(mcnemar_exact(80, 50), abs=0.004)
    assert clustered_mcnemar(lead_N, np.zeros(430, dtype=np.int64)) == 1.0


def test_the_score_test_by_group_rejects_where_the_interval_at_so_many_examples_leaves_out_zero():
    draws, rejected = np.random.default_rng(7), 0
    for round_, level in itertools.product(range(30), (0.8, 0.95, 0.999)):
        group_N = draws.integers(0, 12, 300)
        lead_N = draws.choice([1, -1, 0], 300, p=[0.15, 0.03 + 0.004 * round_, 0.82 - 0.004 * round_])
        scale = pair_n(lead_N, group_N, level) / 300
        only_a, only_b = int((lead_N == 1).sum()), int((lead_N == -1).sum())
        interval = paired_difference(only_a * scale, only_b * scale, 300 * scale, level)
        rejects = clustered_score(lead_N, group_N) < 1 - level
        assert (interval.low > 0 or interval.high < 0) == rejects
        rejected += rejects
    assert 20 < rejected < 70
    assert clustered_score(np.zeros(300, dtype=np.int64), np.arange(300) // 10) == 1.0


@pytest.mark.parametrize("one_class", [True, False], ids=["one class a group", "mixed"])
def test_every_figure_covers_by_group_where_it_does_not_as_if_images_were_independent(one_class):
    draws = np.random.default_rng(3)
    truth = grouped_truth(one_class)
    held = {name: np.zeros(2) for name in FIGURES}
    for _ in range(150):
        drawn = draw_grouped(draws, 60, one_class=one_class)
        for place, found in enumerate((grouped_figures(*drawn), grouped_figures(*drawn[:2], None))):
            for name, (_, low, high) in found.items():
                held[name][place] += low <= truth[name] <= high
    assert min(by_group for by_group, _ in held.values()) >= 0.89 * 150
    assert max(alone for name, (_, alone) in held.items() if name != "ECE") < 0.87 * 150


def test_the_variance_over_groups_is_that_of_statsmodels():
    """A mean is a regression on a constant, whose clustered variance statsmodels has, with G / (G - 1)."""
    draws = np.random.default_rng(6)
    group_N = np.sort(draws.integers(0, 40, 500))
    group_N = np.unique(group_N, return_inverse=True)[1]
    values_N = draws.normal(size=40)[group_N] + draws.normal(size=500)
    fit = OLS(values_N, np.ones(500)).fit(cov_type="cluster", cov_kwds={"groups": group_N, "df_correction": True})
    influence_N = (values_N - values_N.mean()) / 500
    ours = design_effect(influence_N, group_N) * (influence_N**2).sum()
    assert ours == pytest.approx(float(fit.bse[0]) ** 2, abs=1e-10, rel=1e-10)
    interval = clustered_rate(values_N > 0, group_N)
    right_N = (values_N > 0).astype(float)
    fit = OLS(right_N, np.ones(500)).fit(cov_type="cluster", cov_kwds={"groups": group_N, "df_correction": True})
    n = right_N.mean() * (1 - right_N.mean()) / float(fit.bse[0]) ** 2 * few_groups(40, 0.95)
    expected = effective_wilson(right_N.mean(), n, n=500)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-10)


def test_doubled_images_change_no_interval_of_a_mean_and_groups_of_one_none_at_all():
    values_N = np.random.default_rng(4).exponential(size=200)
    limits = {"lowest": 0.0, "highest": 36.0}
    single = mean_interval(values_N, **limits)
    alone = clustered_mean(values_N, np.arange(200), **limits)
    doubled = clustered_mean(np.repeat(values_N, 2), np.repeat(np.arange(200), 2), **limits)
    assert (alone.low, alone.high) == pytest.approx((single.low, single.high), abs=1e-12)
    assert (doubled.low, doubled.high) == pytest.approx((single.low, single.high), abs=1e-12)
    assert mean_interval(np.repeat(values_N, 2), **limits).low > single.low  # the twin


def test_the_effect_of_equal_groups_is_their_size_and_of_single_images_one():
    influence_N = np.random.default_rng(5).normal(size=300)
    influence_N -= influence_N.mean()
    assert design_effect(influence_N, np.arange(300)) == pytest.approx(300 / 299)
    assert design_effect(np.repeat(influence_N, 4), np.repeat(np.arange(300), 4)) == pytest.approx(4 * 300 / 299)
    assert design_effect(np.tile([1.0, -1.0], 50), np.repeat(np.arange(50), 2)) == 1.0  # groups are never a gain


def test_where_every_image_is_right_every_group_is_one_example_for_every_rate():
    label_N, group_N = np.arange(100) % 5, np.arange(100) // 10
    probability_NC = np.full((100, 7), 0.02)
    probability_NC[np.arange(100), label_N] = 0.88
    balanced = metrics.balanced_accuracy(label_N, label_N >= 0, group_N=group_N)
    top5 = metrics.top_k(probability_NC, label_N, 5, group_N=group_N)
    assert (balanced.low, balanced.high) == pytest.approx((wilson(10, 10).low, 1.0))
    assert (top5.low, top5.high) == pytest.approx((wilson(10, 10).low, 1.0))
    assert metrics.macro_f1(label_N, label_N, 7, group_N=group_N).low == pytest.approx(balanced.low)


def test_a_class_of_one_group_does_not_make_the_balanced_accuracy_certain():
    """Each class is one animal: between animals nothing is seen, but that classes differ shows what one may do."""
    label_N = np.repeat(np.arange(10), 30)
    right_N = np.arange(300) % 30 < np.repeat(np.linspace(12, 30, 10), 30)
    answer_N = np.where(right_N, label_N, (label_N + 1) % 10)
    found = metrics.balanced_accuracy(label_N, label_N == answer_N, group_N=label_N)
    alone = metrics.balanced_accuracy(label_N, label_N == answer_N)
    assert found.high - found.low > 2 * (alone.high - alone.low)


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


def test_with_weights_a_rate_is_the_mean_over_groups_and_equal_weights_change_nothing():
    group_N = np.array([4, 4, 4, 4, 9, 9, 2])
    correct_N = np.array([1, 1, 1, 1, 1, 0, 0], bool)
    weight_N = group_weights(group_N)
    assert weight_N.tolist() == [0.25] * 4 + [0.5] * 2 + [1.0]
    assert clustered_rate(correct_N, group_N, weight_N=weight_N).value == pytest.approx((1 + 0.5 + 0) / 3)
    assert clustered_rate(correct_N, group_N, weight_N=np.full(7, 3.0)) == clustered_rate(correct_N, group_N)


def test_the_interval_of_a_rate_over_groups_of_unequal_sizes_holds_the_mean_over_groups():
    """The twin: the rate over images is another figure if large groups are easier."""
    draws, held, other = np.random.default_rng(12), [], []
    for _ in range(500):
        size_G = draws.choice([1, 20], 60)
        group_N = np.repeat(np.arange(60), size_G)
        right_N = draws.random(len(group_N)) < np.where(size_G == 1, 0.7, 0.95)[group_N]
        found = clustered_rate(right_N, group_N, weight_N=group_weights(group_N))
        held.append(found.low <= 0.825 <= found.high)
        plain = clustered_rate(right_N, group_N)
        other.append(plain.low <= 0.825 <= plain.high)
    assert np.mean(held) >= 0.95 - 2 * math.sqrt(0.05 * 0.95 / 500)
    assert np.mean(other) < 0.5
