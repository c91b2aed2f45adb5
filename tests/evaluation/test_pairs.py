"""Pairs of backbones: interval and test say the same, all of a run hold together, and few groups tell little."""

import numpy as np
import pytest
from benchmarks.coverage import PAIRS, draw_pair, judge_pair

from vitrail.evaluation.contestants import Criteria
from vitrail.evaluation.pairs import judge_pairs, judge_these, turn
from vitrail.statistics.clustered import clustered_mcnemar
from vitrail.statistics.paired import mcnemar_exact


def judge_leads(lead_N, group_N, **criteria):
    right = {"a": lead_N >= 0, "b": lead_N <= 0}
    (pair,) = judge_these(right, [("a", "b")], group_N, Criteria(**criteria))
    return pair


@pytest.mark.parametrize(("groups", "told"), [(4, False), (6, False), (8, True), (20, True)])
def test_an_interval_by_group_leaves_out_zero_where_the_test_of_the_same_groups_rejects(groups, told):
    """In each group of twenty A leads by two images: of few groups that may be chance."""
    lead_N = np.tile(np.repeat([1, -1, 0], [3, 1, 16]), groups)
    pair = judge_leads(lead_N, np.repeat(np.arange(groups), 20))
    assert (pair.difference.low > 0) == (pair.adjusted_p < 0.05) == told
    assert (pair.conclusion == "a is better") == told


def test_two_that_never_differ_are_not_equivalent_by_five_groups_as_they_are_by_so_many_images():
    lead_N = np.zeros(2_000, dtype=np.int64)
    assert judge_leads(lead_N, None).conclusion == "equivalent"
    few = judge_leads(lead_N, np.repeat(np.arange(5), 400))
    assert few.conclusion == "undecided"
    assert few.loss_a > 0.01
    assert judge_leads(lead_N, np.repeat(np.arange(1_000), 2)).conclusion == "equivalent"


def test_a_pair_names_the_test_that_its_p_value_is_from():
    lead_N = np.tile([1, 1, -1, 0], 10)
    alone, grouped = judge_leads(lead_N, None), judge_leads(lead_N, np.repeat(np.arange(20), 2))
    assert alone.mcnemar_p == mcnemar_exact(20, 10)
    assert alone.mcnemar_test == "McNemar's exact test"
    assert grouped.mcnemar_p == clustered_mcnemar(lead_N, np.repeat(np.arange(20), 2))
    assert grouped.mcnemar_test == "McNemar's test for images in groups or of unequal weight"


def test_of_two_a_loss_is_bounded_at_the_level_on_its_side_alone():
    """Tango's interval at 91%: each of its limits holds in 95.5%, with some caution."""
    group_N = np.repeat(np.arange(20), 100)
    lead_N = np.random.default_rng(2).choice([1, -1, 0], 2_000, p=[0.02, 0.015, 0.965])
    pair, wide = judge_leads(lead_N, group_N), judge_leads(lead_N, group_N, level=0.91)
    assert (pair.loss_a, pair.loss_b) == pytest.approx((-wide.difference.low, wide.difference.high))
    assert turn(pair).loss_a == pair.loss_b


def draw_equal(draws, backbones, n, noise=0.2):
    hard_N = draws.random(n)
    return {f"m{k}": hard_N + draws.normal(0, noise, n) < 0.8 for k in range(backbones)}


@pytest.mark.slow
@pytest.mark.parametrize(("backbones", "n"), [(2, 100), (4, 600), (10, 200)])
def test_for_equal_backbones_all_intervals_hold_together_and_no_pair_has_a_winner(backbones, n):
    draws, held, single = np.random.default_rng(5), 0, 0
    for _ in range(300):
        pairs = judge_pairs(draw_equal(draws, backbones, n), None, Criteria())
        held += all(pair.difference.low <= 0 <= pair.difference.high for pair in pairs)
        assert held or any("better" in pair.conclusion for pair in pairs)
        single += any(pair.mcnemar_p < 0.05 for pair in pairs)
    assert held >= (0.95 - 0.02) * 300
    if backbones == 10:
        assert single > 0.2 * 300  # the twin: each pair at 95% for itself


@pytest.mark.slow
@pytest.mark.parametrize("backbones", [2, 4, 10])
def test_the_loss_of_every_backbone_to_the_best_is_within_its_bound(backbones):
    """Each is a little worse than the last; on 0.1 of the images each is right or wrong by itself."""
    draws, rates, n = np.random.default_rng(6), 0.8 - 0.002 * np.arange(backbones), 400
    truth, held = 0.9 * rates + 0.05, 0
    for _ in range(300):
        hard_N, alone_KN = draws.random(n), draws.random((backbones, n)) < 0.1
        coin_KN = draws.random((backbones, n)) < 0.5
        right = {f"m{k}": np.where(alone_KN[k], coin_KN[k], hard_N < rates[k]) for k in range(backbones)}
        most = dict.fromkeys(right, 0.0)
        for pair in judge_pairs(right, None, Criteria()):
            most[pair.a], most[pair.b] = max(most[pair.a], pair.loss_a), max(most[pair.b], pair.loss_b)
        held += all(truth[0] - truth[k] <= most[f"m{k}"] for k in range(backbones))
    assert held >= (0.95 - 0.02) * 300


@pytest.mark.parametrize("groups", [3, 5, 20])
@pytest.mark.parametrize("name", ["none", "10 points"])
def test_the_difference_covers_with_few_groups_where_as_if_independent_it_does_not(groups, name):
    draws, (a, b) = np.random.default_rng(4), PAIRS[name]
    held = np.zeros(2)
    for _ in range(300):
        right, group_N = draw_pair(draws, groups, (a, b))
        for place, numbers in enumerate((group_N, None)):
            found = judge_pair(right, numbers).difference
            held[place] += found.low <= a - b <= found.high
    assert held[0] >= 0.94 * 300
    assert held[1] < 0.90 * 300
