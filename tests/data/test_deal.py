from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrail.data.deal import deal, share_out

USUAL = (0.6, 0.2, 0.2)
FRACTIONS = st.sampled_from([USUAL, (0.7, 0.15, 0.15), (0.5, 0.25, 0.25), (0.75, 0.25), (0.2,) * 5, (1 / 3,) * 3])


@given(st.lists(st.integers(0, 500), min_size=1, max_size=30), FRACTIONS)
def test_every_class_is_shared_out_whole_and_within_one_row(counts, fractions):
    need_CP = share_out(np.asarray(counts), fractions)
    assert (need_CP >= 0).all()
    assert (need_CP.sum(axis=1) == counts).all()
    for count, need_P in zip(counts, need_CP, strict=True):
        if count >= len(fractions):
            assert (need_P >= 1).all()
        if count >= 8:
            assert np.abs(need_P - count * np.asarray(fractions)).max() < 1
        assert count == 0 or need_P[0] >= 1


@given(st.lists(st.integers(8, 60), min_size=1, max_size=60), FRACTIONS)
def test_rounding_evens_out_over_the_classes(counts, fractions):
    """Rounding each class by itself would move 1 percent of 120 classes of 23 images."""
    need_P = share_out(np.asarray(counts), fractions).sum(axis=0)
    assert np.abs(need_P - sum(counts) * np.asarray(fractions)).max() < 3


def test_the_dogs_come_out_right():
    assert share_out(np.full(120, 23), (0.75, 0.25)).sum(axis=0).tolist() == [2_070, 690]


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), FRACTIONS)
def test_rows_without_groups_are_dealt_as_shared_out(labels, fractions):
    subset_N = deal(labels, [None] * len(labels), fractions)
    need_CP = share_out(np.bincount(labels), fractions)
    for label in range(len(need_CP)):
        dealt = subset_N[np.asarray(labels) == label]
        assert np.bincount(dealt, minlength=len(fractions)).tolist() == need_CP[label].tolist()


GROUPED = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([None, *"abcdefghijkl"])), min_size=1, max_size=150)


@settings(deadline=None)
@given(GROUPED, FRACTIONS)
def test_groups_stay_whole_and_every_row_has_a_subset(rows, fractions):
    labels, groups = zip(*rows, strict=True)
    subset_N = deal(labels, groups, fractions)
    assert ((subset_N >= 0) & (subset_N < len(fractions))).all()
    for group in set(groups) - {None}:
        assert len({subset for subset, other in zip(subset_N, groups, strict=True) if other == group}) == 1


@settings(deadline=None)
@given(GROUPED)
def test_the_names_of_groups_do_not_matter(rows):
    labels, groups = zip(*rows, strict=True)
    renamed = [None if group is None else f"{ord('z') - ord(group)}" for group in groups]
    assert deal(labels, groups, USUAL).tolist() == deal(labels, renamed, USUAL).tolist()


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(1, 5), st.integers(12, 40))
def test_small_groups_within_a_class_come_near_the_fractions(classes, size, groups):
    labels = np.repeat(np.arange(classes), size * groups)
    names = [f"{row // size}" for row in range(len(labels))]
    subset_N = deal(labels, names, USUAL)
    for label in range(classes):
        came_out = np.bincount(subset_N[labels == label], minlength=3)
        assert np.abs(came_out - np.asarray(USUAL) * size * groups).max() <= size
        assert came_out.min() > 0


def test_groups_that_hold_several_classes_come_near_too():
    """As patients do who have both sound and sick pictures."""
    rng = np.random.default_rng(0)
    names, labels = [], []
    for patient in range(200):
        for _ in range(rng.integers(1, 12)):
            names.append(f"{patient}")
            labels.append(int(rng.random() < 0.1 + 0.1 * (patient % 3)))
    subset_N = deal(labels, names, USUAL)
    for label in (0, 1):
        share = np.bincount(subset_N[np.asarray(labels) == label], minlength=3) / labels.count(label)
        assert np.abs(share - USUAL).max() < 0.02


@pytest.mark.parametrize(("groups", "subsets"), [(1, {0}), (2, {0, 1}), (3, {0, 1, 2}), (7, {0, 1, 2})])
def test_a_class_of_few_groups_reaches_as_many_subsets_as_it_can(groups, subsets):
    labels, names = [0] * (10 * groups), [f"{row // 10}" for row in range(10 * groups)]
    assert set(deal(labels, names, USUAL).tolist()) == subsets


def test_a_group_larger_than_a_part_goes_to_the_largest_one():
    names = ["large"] * 60 + [None] * 40
    subset_N = deal([0] * 100, names, USUAL)
    assert Counter(subset_N[:60].tolist()) == {0: 60}
    assert Counter(subset_N[60:].tolist()) == {1: 20, 2: 20}


def test_large_groups_are_dealt_before_small_ones_fill_the_gaps():
    names = [f"{row // 2}" for row in range(70)] + ["large"] * 30
    came_out = np.bincount(deal([0] * 100, names, USUAL), minlength=3)
    assert np.abs(came_out - [60, 20, 20]).max() <= 2


def test_no_rows_are_no_subsets():
    assert deal([], [], USUAL).tolist() == []
