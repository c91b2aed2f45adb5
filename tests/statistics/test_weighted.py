"""Weights of classes, and what they take of a paired difference."""

import numpy as np
import pytest

from vitrail.statistics.clustered import effective_groups
from vitrail.statistics.paired import mcnemar_exact, mcnemar_score, paired_difference
from vitrail.statistics.weighted import Leads, class_weights, weight_effect


def test_the_weighted_share_of_right_examples_is_the_mean_recall():
    label_N = np.array([0, 0, 0, 0, 2])  # no example of class 1
    weight_N, right_N = class_weights(label_N), np.array([1, 1, 1, 0, 0])
    assert weight_N == pytest.approx([5 / 8] * 4 + [5 / 2])
    assert (right_N * weight_N).mean() == pytest.approx((3 / 4 + 0) / 2)


def test_classes_of_one_size_weigh_exactly_one():
    assert (class_weights(np.repeat(np.arange(7), 11)) == 1).all()


def test_with_equal_weights_the_counts_are_those_of_the_examples_whatever_is_seen():
    for leads in ([], [1], [1, -1, -1], [1] * 9 + [-1] * 4):
        lead_N = np.array(leads + [0] * (40 - len(leads)))
        pair = Leads.of(lead_N)
        only_a, only_b = leads.count(1), leads.count(-1)
        assert pair.counts(0.95) == pytest.approx((only_a, only_b, 40), abs=1e-12)
        assert pair.p_values() == pytest.approx((mcnemar_exact(only_a, only_b), mcnemar_score(only_a, only_b)))
        assert pair.discordance == pytest.approx((only_a + only_b + 2) / 42)


def test_a_small_class_without_discordance_is_taken_as_one_that_may_have_some():
    """Two classes of 95 and 5: alike, they tell as much as ten examples, five of each."""
    label_N = np.repeat([0, 1], [95, 5])
    pair = Leads.of(np.zeros(100, dtype=np.int64), weight_N=class_weights(label_N))
    assert pair.counts(0.95) == pytest.approx((0, 0, 10))
    # By hand: eight discordances in the large class, each of weight 100 / 190, and one more of weight 10.
    seen = Leads.of(np.repeat([1, -1, 0], [4, 4, 92]), weight_N=class_weights(label_N))
    effect = (8 * (10 / 19) ** 2 + 100) / (8 * 10 / 19 + 10)
    assert weight_effect(seen.lead_N, class_weights(label_N)) == pytest.approx(effect)
    assert seen.counts(0.95) == pytest.approx((40 / 19 / effect, 40 / 19 / effect, 100 / effect))
    wide = paired_difference(*seen.counts(0.95))
    alone = paired_difference(4, 4, 190)  # the twin: what the large class alone would say, at its weight of a half
    assert wide.high - wide.low > 5 * (alone.high - alone.low)


def test_the_test_of_fractional_counts_meets_the_binomial_one_at_whole_counts():
    for only_a, only_b in ((0, 1), (3, 9), (12, 12), (40, 22)):
        below, exact, above = (mcnemar_exact(only_a, only_b + step) for step in (-1e-9, 0, 1e-9))
        assert below == pytest.approx(exact, abs=1e-7)
        assert above == pytest.approx(exact, abs=1e-7)


def test_groups_count_by_what_they_weigh():
    group_N = np.repeat(np.arange(30), 4)
    assert effective_groups(group_N, np.ones(120)) == 30
    label_N = np.repeat([0, 1], [104, 16])  # 26 groups of one class, 4 of the other
    squares, fourths = 26 * (30 / 13) ** 2 + 4 * 15**2, 26 * (30 / 13) ** 4 + 4 * 15**4
    assert effective_groups(group_N, class_weights(label_N)) == pytest.approx(squares**2 / fourths)
