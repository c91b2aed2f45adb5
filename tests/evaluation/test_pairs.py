"""Pairs of backbones on images in groups: interval and test say the same, and few groups tell little."""

import numpy as np
import pytest
from benchmarks.coverage import PAIRS, draw_pair, judge_pair

from vitrail.evaluation.contestants import Criteria
from vitrail.evaluation.pairs import judge_these


def judge_leads(lead_N, group_N, margin=0.01):
    right = {"a": lead_N >= 0, "b": lead_N <= 0}
    (pair,) = judge_these(right, [("a", "b")], group_N, Criteria(margin=margin))
    return pair


@pytest.mark.parametrize(("groups", "told"), [(4, False), (6, False), (8, True), (20, True)])
def test_an_interval_by_group_leaves_out_zero_where_the_test_of_the_same_groups_rejects(groups, told):
    """In each group of twenty A leads by two images: of few groups that may be chance."""
    lead_N = np.tile(np.repeat([1, -1, 0], [3, 1, 16]), groups)
    pair = judge_leads(lead_N, np.repeat(np.arange(groups), 20))
    assert (pair.difference.low > 0) == (pair.mcnemar_p < 0.05) == told
    assert (pair.conclusion == "a is better") == told


def test_two_that_never_differ_are_not_equivalent_by_five_groups_as_they_are_by_so_many_images():
    lead_N = np.zeros(2_000, dtype=np.int64)
    assert judge_leads(lead_N, None).conclusion == "equivalent"
    few = judge_leads(lead_N, np.repeat(np.arange(5), 400))
    assert few.conclusion == "undecided"
    assert few.loss_p(0.01) > 0.05
    assert judge_leads(lead_N, np.repeat(np.arange(1_000), 2)).conclusion == "equivalent"


def test_a_loss_is_excluded_where_the_interval_by_group_lies_above_the_margin():
    draws = np.random.default_rng(2)
    group_N = np.repeat(np.arange(20), 100)
    for _ in range(20):
        pair = judge_leads(draws.choice([1, -1, 0], 2_000, p=[0.02, 0.015, 0.965]), group_N)
        assert (pair.loss_p(0.01) < 0.025) == (pair.difference.low > -0.01)


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
