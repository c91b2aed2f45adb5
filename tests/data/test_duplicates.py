from hypothesis import given
from hypothesis import strategies as st

from vitrail.data.dataset import ListedFile
from vitrail.data.duplicates import GUARD, Duplicates, merge

CONTENTS = st.sampled_from(["c1", "c2", "c3", "c4", "c5"])
LISTINGS = st.lists(
    st.builds(
        lambda digest, label, split, group: (digest, label, split, group),
        CONTENTS,
        st.sampled_from(["cat", "cat", "cat", "dog"]),
        st.sampled_from(["train", "val", "test"]),
        st.sampled_from([None, "g1", "g2", "g3"]),
    ),
    min_size=1,
    max_size=12,
)


def entries(rows):
    return [
        (digest, ListedFile(path=f"{number:02}.png", label=label, split=split, group=group))
        for number, (digest, label, split, group) in enumerate(rows)
    ]


def test_equal_bytes_are_one_example_with_all_its_paths():
    examples, aside, counts = merge(
        [
            ("c2", ListedFile(path="b", label="cat")),
            ("c1", ListedFile(path="z", label="cat")),
            ("c2", ListedFile(path="a", label="cat")),
        ]
    )
    assert [(each.id, each.paths) for each in examples] == [("c1", ("z",)), ("c2", ("a", "b"))]
    assert not aside
    assert counts == Duplicates(files=1, examples=1)


def test_a_path_listed_twice_is_no_copy():
    examples, _, counts = merge([("c", ListedFile(path="a", label="cat"))] * 2)
    assert examples[0].paths == ("a",)
    assert counts == Duplicates()


def test_equal_bytes_with_two_labels_are_set_aside_and_named():
    examples, aside, counts = merge(
        [
            ("c", ListedFile(path="x/1", label="cat")),
            ("c", ListedFile(path="y/1", label="dog")),
            ("d", ListedFile(path="2", label="cat")),
        ]
    )
    assert [each.id for each in examples] == ["d"]
    assert {each.path for each in aside} == {"x/1", "y/1"}
    assert {each.reason for each in aside} == {"the same bytes have two labels: x/1 (cat) and y/1 (dog)"}
    assert counts == Duplicates(two_labels=1, two_labels_files=2)


def test_equal_bytes_join_their_groups():
    examples, _, counts = merge(
        [
            ("c1", ListedFile(path="1", label="cat", group="b")),
            ("c1", ListedFile(path="2", label="cat", group="c")),
            ("c2", ListedFile(path="3", label="cat", group="c")),
            ("c2", ListedFile(path="4", label="cat", group="a")),
            ("c3", ListedFile(path="5", label="cat", group="b")),
            ("c4", ListedFile(path="6", label="cat", group="other")),
            ("c3", ListedFile(path="7", label="cat")),
        ]
    )
    assert [each.group for each in examples] == ["a", "a", "a", "other"]
    assert counts.joined_groups == 2


def test_equal_bytes_in_train_and_test_stay_in_test():
    examples, aside, counts = merge(
        [
            ("c", ListedFile(path="1", label="cat", split="train")),
            ("c", ListedFile(path="2", label="cat", split="test")),
        ]
    )
    assert [(each.split, each.paths) for each in examples] == [("test", ("1", "2"))]
    assert not aside
    assert counts == Duplicates(files=1, examples=1, across_splits=1)


def test_a_group_in_train_and_test_is_taken_out_of_train():
    examples, aside, counts = merge(
        [
            ("c1", ListedFile(path="1", label="cat", split="train", group="g")),
            ("c2", ListedFile(path="2", label="cat", split="test", group="g")),
            ("c3", ListedFile(path="3", label="cat", split="train", group="h")),
        ]
    )
    assert [each.id for each in examples] == ["c2", "c3"]
    assert [(each.path, each.reason) for each in aside] == [
        ("1", "its group g is also in the given test split, and a group stays in one split")
    ]
    assert counts.cut_from_splits == 1


@given(LISTINGS, st.randoms())
def test_the_order_of_the_files_changes_nothing(rows, random):
    listing = entries(rows)
    shuffled = list(listing)
    random.shuffle(shuffled)
    first, second = merge(listing), merge(shuffled)
    assert first[0] == second[0]
    assert sorted(map(str, first[1])) == sorted(map(str, second[1]))
    assert first[2] == second[2]


@given(LISTINGS)
def test_every_file_is_used_or_named_and_no_group_crosses(rows):
    listing = entries(rows)
    examples, aside, counts = merge(listing)
    used = [path for example in examples for path in example.paths]
    assert sorted(used + [each.path for each in aside]) == sorted(entry.path for _, entry in listing)
    assert counts.files == len(used) - len(examples)
    for digest, entry in listing:
        example = next((each for each in examples if each.id == digest), None)
        if example is not None:
            assert example.label == entry.label
            assert GUARD.index(example.split) >= GUARD.index(entry.split)
            assert entry.group is None or example.group is not None
    home: dict[str, set[str]] = {}
    for example in examples:
        if example.group:
            home.setdefault(example.group, set()).add(example.split)
    assert all(len(splits) == 1 for splits in home.values())
