import dataclasses
import hashlib
from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.pictures import dataset_of
from vitrail.core.errors import DataError, UsageError
from vitrail.core.hashing import fingerprint
from vitrail.data.split import SplitOptions, make_split


def name(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def simple(*sizes: int, split=lambda label, number: None):
    return dataset_of(
        [(name(c, n), c, None, split(c, n)) for c, size in enumerate(sizes) for n in range(size)], len(sizes)
    )


def labels_of(dataset) -> dict[str, int]:
    return dict(zip(dataset.table["id"].to_pylist(), dataset.table["label"].to_pylist(), strict=True))


def counts(dataset, ids) -> list[int]:
    of = labels_of(dataset)
    return np.bincount([of[example] for example in ids], minlength=len(dataset.classes)).tolist()


SIZES = st.lists(st.integers(8, 60), min_size=2, max_size=8)
ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([None, None, *"abcdefghij"])), min_size=30, max_size=120
).filter(lambda rows: min(Counter(label for label, _ in rows)[label] for label in range(3)) >= 8)


def grouped(rows):
    return dataset_of([(name(number), label, group, None) for number, (label, group) in enumerate(rows)], 3)


@settings(deadline=None)
@given(ROWS, st.integers(0, 3), st.sampled_from([0.0, 0.1, 0.3]))
def test_parts_are_disjoint_cover_all_and_keep_groups_whole(rows, seed, calibration):
    dataset = grouped(rows)
    try:
        _, split, _ = make_split(dataset, SplitOptions(seed=seed, calibration=calibration))
    except DataError:
        return  # one group holds all of a class and went to test
    everything = dataset.table["id"].to_pylist()
    assert sorted((*split.train, *split.val, *split.test, *split.calibration)) == everything
    assert bool(split.calibration) is bool(calibration)
    assert sorted(chain(*split.folds)) == sorted((*split.train, *split.val))
    assert len(split.folds) == 5
    group_of = dict(zip(everything, dataset.table["group"].to_pylist(), strict=True))
    for parts in ((split.train, split.val, split.test, split.calibration), split.folds):
        homes: dict[str, set[int]] = {}
        for number, part in enumerate(parts):
            assert list(part) == sorted(part)
            for example in part:
                if group_of[example]:
                    homes.setdefault(group_of[example], set()).add(number)
        assert all(len(home) == 1 for home in homes.values())


@settings(deadline=None)
@given(SIZES, st.integers(0, 5), st.randoms())
def test_the_order_of_listing_changes_nothing(sizes, seed, random):
    dataset = simple(*sizes)
    order = list(range(dataset.table.num_rows))
    random.shuffle(order)
    shuffled = dataclasses.replace(dataset, table=dataset.table.take(order))
    assert make_split(dataset, SplitOptions(seed=seed))[1] == make_split(shuffled, SplitOptions(seed=seed))[1]


@settings(deadline=None)
@given(SIZES)
def test_every_class_is_within_one_row_of_its_share_in_every_part(sizes):
    dataset = simple(*sizes)
    _, split, _ = make_split(dataset)
    test = counts(dataset, split.test)
    for size, in_test in zip(sizes, test, strict=True):
        assert abs(in_test - 0.2 * size) < 1
        assert in_test >= 1
    for fold in split.folds:
        for size, in_test, in_fold in zip(sizes, test, counts(dataset, fold), strict=True):
            assert abs(in_fold - 0.2 * (size - in_test)) < 1
            assert in_fold >= 1


def test_a_thousand_training_images_have_a_val():
    dataset = simple(900, 800)
    _, split, _ = make_split(dataset)
    assert [len(part) for part in (split.train, split.val, split.test)] == [1_020, 340, 340]
    assert counts(dataset, split.val) == [180, 160]
    assert "60/20/20" in split.how
    assert "cross-validation" not in split.how


def test_fewer_have_five_folds_instead():
    dataset = simple(800, 860)
    _, split, _ = make_split(dataset)
    assert split.val == ()
    assert len(split.train) == 1_328
    assert [len(fold) for fold in split.folds] == [266, 266, 266, 265, 265]
    assert "Train would have 996 images" in split.how
    assert "5-fold cross-validation" in split.how


def test_another_seed_is_another_split():
    dataset = simple(50, 50)
    first, again, other = (make_split(dataset, SplitOptions(seed=seed))[1] for seed in (0, 0, 1))
    assert first == again
    assert first.fingerprint == again.fingerprint
    assert first.test != other.test
    assert first.fingerprint != other.fingerprint


def test_folds_are_drawn_apart_from_the_split():
    """Were they slices of the same order, the first fold would be what val would have been."""
    _, split, _ = make_split(simple(2_000, 2_000))
    assert not any(set(split.val) <= set(fold) for fold in split.folds)
    assert all(100 < len(set(split.val) & set(fold)) < 250 for fold in split.folds)


def test_fractions_are_the_requested_ones():
    _, split, _ = make_split(simple(2_000, 1_000), SplitOptions(fractions=(0.5, 0.1, 0.4)))
    assert [len(part) for part in (split.train, split.val, split.test)] == [1_500, 300, 1_200]


@pytest.mark.parametrize("fractions", [(0.6, 0.4, 0.0), (0.6, 0.2, 0.3), (0.5, 0.5), (1.2, -0.1, -0.1)])
def test_invalid_fractions_are_refused(fractions):
    with pytest.raises(UsageError, match="Invalid"):
        SplitOptions(fractions=fractions)


def test_test_labels_leave_the_table_and_are_under_the_seal():
    dataset = simple(40, 30)
    before = labels_of(dataset)
    after, split, sealed = make_split(dataset)
    shown = labels_of(after)
    assert {example for example, label in shown.items() if label is None} == set(split.test)
    assert all(shown[example] == before[example] for example in split.train)
    assert after.table.schema == dataset.table.schema
    assert labels_of(dataset) == before
    assert sealed.open("choices") == {example: before[example] for example in split.test}


def test_calibration_is_cut_from_train_and_leaves_test_and_val_as_they_are():
    dataset = simple(1_500, 1_000)
    _, without, _ = make_split(dataset)
    _, split, _ = make_split(dataset, SplitOptions(calibration=0.1))
    assert (split.val, split.test) == (without.val, without.test)
    assert sorted((*split.train, *split.calibration)) == list(without.train)
    assert counts(dataset, split.calibration) == [150, 100]
    assert not set(split.calibration) & set(chain(*split.folds))
    assert "A calibration split was cut from train (83.3/16.7)" in split.how
    assert split.fingerprint != without.fingerprint
    assert without.calibration == ()


@pytest.mark.parametrize("calibration", [0.0, 0.1])
def test_the_fingerprint_is_that_of_the_ids_as_json(calibration, monkeypatch):
    monkeypatch.setattr("vitrail.data.ids.ROWS_AT_ONCE", 7)
    _, split, _ = make_split(simple(1_500, 1_000), SplitOptions(calibration=calibration))
    subsets = {name: list(getattr(split, name)) for name in ("train", "val", "test")}
    subsets |= {"folds": [list(fold) for fold in split.folds]}
    subsets |= {"calibration": list(split.calibration)} if calibration else {}
    assert split.fingerprint == fingerprint(subsets)


def test_train_counts_as_small_by_what_calibration_left_of_it():
    _, split, _ = make_split(simple(900, 900), SplitOptions(calibration=0.1))
    assert (split.val, len(split.calibration)) == ((), 180)
    assert "Train would have 900 images" in split.how


def quarters(label: int, number: int) -> str:
    return ("train", "val", "test", "calibration")[number % 4]


def test_a_given_calibration_split_is_taken_and_none_is_cut_beside_it():
    dataset = simple(40, 40, split=quarters)
    shown, split, _ = make_split(dataset)
    given = dict(zip(dataset.table["id"].to_pylist(), dataset.table["given_split"].to_pylist(), strict=True))
    assert {given[example] for example in split.calibration} == {"calibration"}
    assert split.how == "Train, val and test as given. Calibration as given."
    assert all(labels_of(shown)[example] is not None for example in split.calibration)
    with pytest.raises(UsageError, match="already have a calibration split"):
        make_split(dataset, SplitOptions(calibration=0.1))


def test_a_class_without_calibration_images_is_a_warning():
    dataset = simple(
        20, 20, split=lambda label, number: "train" if label and number % 4 == 3 else quarters(label, number)
    )
    after, _, _ = make_split(dataset)
    assert "No calibration images of class 1: thresholds make no promise for these classes." in after.warnings


@pytest.mark.parametrize("calibration", [-0.1, 0.6, 0.9])
def test_a_calibration_split_that_train_does_not_have_is_refused(calibration):
    with pytest.raises(UsageError, match="Invalid"):
        SplitOptions(calibration=calibration)


def thirds(label: int, number: int) -> str:
    return ("train", "val", "test")[number % 3]


def test_a_given_split_is_honoured():
    dataset = simple(30, 30, split=thirds)
    _, split, _ = make_split(dataset)
    given = dict(zip(dataset.table["id"].to_pylist(), dataset.table["given_split"].to_pylist(), strict=True))
    for part in ("train", "val", "test"):
        assert {given[example] for example in getattr(split, part)} == {part}
    assert split.how == "Train, val and test as given."


def test_val_is_cut_from_a_given_train():
    dataset = simple(1_500, 900, split=lambda label, number: "test" if number % 3 == 0 else "train")
    _, split, _ = make_split(dataset)
    assert [len(part) for part in (split.train, split.val, split.test)] == [1_200, 400, 800]
    assert "val cut from the given train (75/25)" in split.how


def test_a_small_given_train_keeps_its_test_and_has_folds():
    _, split, _ = make_split(simple(30, 60, split=lambda label, number: "test" if number % 3 == 0 else "train"))
    assert [len(part) for part in (split.train, split.val, split.test)] == [60, 0, 30]
    assert split.how.startswith("Test as given")


def test_test_is_cut_from_train_where_only_val_is_given():
    dataset = simple(400, 400, split=lambda label, number: "val" if number % 5 == 0 else "train")
    _, split, _ = make_split(dataset)
    assert [len(part) for part in (split.train, split.val, split.test)] == [480, 160, 160]
    assert "test cut from the given train (75/25)" in split.how


def test_train_alone_is_split_as_if_nothing_were_given():
    only_train = simple(1_000, 1_000, split=lambda label, number: "train")
    assert make_split(only_train)[1].test == make_split(simple(1_000, 1_000))[1].test


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (lambda label, number: "train" if number % 2 else None, "10 of 20 examples have no split"),
        (lambda label, number: "test" if number % 2 else "val", "no training images: put some into train"),
        (lambda label, number: "train" if label else "test", "No training images are left of class 0"),
    ],
)
def test_given_splits_that_cannot_work_are_refused(split, words):
    with pytest.raises(DataError, match=words):
        make_split(simple(10, 10, split=split))


def test_a_class_without_test_images_is_a_warning():
    dataset = simple(20, 20, split=lambda label, number: "train" if label or number % 2 else "test")
    after, _, _ = make_split(dataset)
    assert any(warning.startswith("No test images of class 1") for warning in after.warnings)


def test_a_class_of_one_group_is_a_warning():
    rows = [(name(n), 0, None, None) for n in range(30)] + [(name("g", n), 1, "only", None) for n in range(10)]
    after, split, _ = make_split(dataset_of(rows, 2))
    assert any("No test images of class 1" in warning for warning in after.warnings)
    assert any("All training images of class 1 are in the same fold" in warning for warning in after.warnings)
    assert {name("g", n) for n in range(10)} <= set(split.train)


def test_a_group_too_large_for_its_part_is_a_warning_and_stays_whole():
    rows = [(name(n), n % 2, "large" if n < 160 else None, None) for n in range(200)]
    after, split, _ = make_split(dataset_of(rows, 2))
    assert {name(n) for n in range(160)} <= set(split.train)
    (warning,) = (warning for warning in after.warnings if "Groups are not divided" in warning)
    assert "the largest group, large, has 160 of 200" in warning
    assert len(split.test) > 15


def test_without_drops_what_could_not_be_read_and_moves_nothing():
    _, split, _ = make_split(simple(900, 900))
    gone = {split.train[3], split.val[0], split.test[5], "unknown"}
    left = split.without(gone)
    for part in ("train", "val", "test"):
        assert getattr(left, part) == tuple(each for each in getattr(split, part) if each not in gone)
    assert left.folds == tuple(tuple(each for each in fold if each not in gone) for fold in split.folds)
    assert (left.how, left.seed, left.fractions) == (split.how, split.seed, split.fractions)
    assert left.fingerprint != split.fingerprint
    assert split.without(()) == split


def test_the_same_ids_are_split_the_same_for_ever():
    """A change of this value moves examples between train and test in everybody's runs."""
    _, split, _ = make_split(simple(40, 30, 20))
    assert split.fingerprint == "3be5346005aff881fd18ae2cac47a3f8b2f2dce57ada758b2370e420621ba1b7"


def of_groups(group_of, images=40, given=None):
    rows = [(name(number), number % 2, group_of(number), given and given(number)) for number in range(images)]
    return dataset_of(rows, 2)


@pytest.mark.parametrize(
    ("group_of", "options", "words"),
    [
        (lambda n: "g", {}, ["No images are left for test", "largest, g, has 40 of 40 images", "more groups"]),
        (lambda n: f"p{n % 2}", {}, ["No images are left for test", "has 20 of 40 images"]),
        (lambda n: "near-duplicates of abc", {}, ["tie 40 of 40 images", "--no-near-duplicates"]),
        (lambda n: "ab"[n < 30], {}, ["a second fold of cross-validation", "has 30 of 30 images"]),
        (lambda n: "abc"[n % 3], {"calibration": 0.1}, ["left for calibration", "largest, a, has 14 of 40"]),
    ],
)
def test_an_empty_part_is_refused_with_the_group_that_swallowed_it(group_of, options, words):
    with pytest.raises(DataError) as error:
        make_split(of_groups(group_of), SplitOptions(**options))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_val_that_groups_leave_empty_is_refused():
    with pytest.raises(DataError, match=r"No images are left for val: .* largest, g0, has 2,000 of 4,000 images"):
        make_split(of_groups(lambda n: f"g{n // 2000}", 4000))


def test_a_train_split_of_too_few_images_to_cut_from_is_refused():
    rows = [(name(n), n % 2, None, "train" if n < 2 else "val") for n in range(20)]
    with pytest.raises(DataError, match="No images are left for test, since there are only 2 to divide"):
        make_split(dataset_of(rows, 2))
