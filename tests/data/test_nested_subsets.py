from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.pictures import dataset_of
from tests.data.test_split import ROWS, grouped, name, simple
from vitrail.core.errors import DataError
from vitrail.data.nested_subsets import FEW, plan_nested_subsets
from vitrail.data.split import SplitOptions, make_split

TEST = [(name("test", number), number % 2, None, "test") for number in range(20)]


def plan(dataset, seed=0):
    dataset, split, _ = make_split(dataset, SplitOptions(seed=seed))
    return dataset, split, plan_nested_subsets(dataset, split)


def test_every_class_has_its_share_of_every_subset():
    _, split, subsets = plan(simple(640, 1280, 320))
    assert subsets.sizes == (42, 84, 168, 252, 336, 504, 672, 1008)
    assert len(split.train) == 1344
    for size in subsets.sizes:
        assert np.bincount(subsets.label_M[:size]).tolist() == [2 * size // 7, 4 * size // 7, size // 7]


def test_a_rare_class_has_a_few_images_in_the_smallest_subset():
    _, _, subsets = plan(simple(1280, 20))
    assert np.bincount(subsets.label_M[: subsets.sizes[0]]).tolist() == [1024 // 32, FEW]  # no val: train has 80%


def test_subsets_that_hardly_grow_are_left_out():
    _, split, subsets = plan(simple(*[20] * 30))  # by cross-validation: train has 16 of each
    assert len(split.train) == 480
    assert subsets.sizes == (90, 120, 180, 240, 360)


def test_a_class_in_one_large_group_leaves_no_subset():
    rows = [(name(number), 0, "all of it", None) for number in range(90)]
    rows += [(name(number), 1, None, None) for number in range(90, 110)]
    dataset, split, _ = make_split(dataset_of([(*row[:3], "train") for row in rows] + TEST, 2))
    subsets = plan_nested_subsets(dataset, split)
    assert (subsets.sizes, subsets.ids) == ((), ())


@settings(deadline=None, max_examples=40)
@given(ROWS, st.integers(0, 3))
def test_groups_are_whole_in_every_subset_and_labels_are_those_of_train(rows, seed):
    try:
        dataset, split, subsets = plan(grouped(rows), seed)
    except DataError:
        return  # one group holds all of a class and went to test
    facts = {
        id_: (label, group)
        for id_, label, group in zip(
            *(dataset.table[column].to_pylist() for column in ("id", "label", "group")), strict=True
        )
    }
    assert set(subsets.ids) <= set(split.train)
    assert subsets.label_M.tolist() == [facts[id_][0] for id_ in subsets.ids]
    in_train = Counter(facts[id_][1] for id_ in split.train)
    for size in subsets.sizes:
        for group, count in Counter(facts[id_][1] for id_ in subsets.ids[:size]).items():
            assert group is None or count == in_train[group]
        assert len(set(subsets.label_M[:size])) == len({facts[id_][0] for id_ in split.train})
    if subsets.group_M is not None and subsets.sizes:
        first = [subsets.group_M.tolist().index(number) for number in range(int(subsets.group_M.max()) + 1)]
        assert first == sorted(first)
        named = {number: facts[id_][1] for number, id_ in zip(subsets.group_M.tolist(), subsets.ids, strict=True)}
        assert [named[number] for number in subsets.group_M.tolist()] == [facts[id_][1] for id_ in subsets.ids]


def test_the_same_seed_gives_the_same_subsets_in_any_order_of_the_files_and_another_gives_others():
    rows = [(name(number), number % 3, None, None) for number in range(300)]
    first, again = plan(dataset_of(rows, 3))[2], plan(dataset_of(rows[::-1], 3))[2]
    assert (first.ids, first.sizes) == (again.ids, again.sizes)
    assert first.group_M is None
    dataset, split, _ = make_split(dataset_of(rows, 3))
    assert plan_nested_subsets(dataset, split).ids == first.ids
    assert plan(dataset_of(rows, 3), seed=1)[2].ids != first.ids
