"""TFRecord files and Examples, as TensorFlow writes them."""

import pytest

from tests.data.named.layouts.prepared import example, records
from vitrail.core.errors import DataError
from vitrail.data.named.file_tree import FolderTree
from vitrail.data.named.tfrecords import find_records, parse_example

# What TensorFlow's tutorial "TFRecord and tf.train.Example" prints for (False, 4, b"goat", 0.9876).
TENSORFLOWS = (
    b"\nR\n\x11\n\x08feature0\x12\x05\x1a\x03\n\x01\x00\n\x11\n\x08feature1\x12\x05\x1a\x03\n\x01\x04\n\x14\n\x08feature2"
    b"\x12\x08\n\x06\n\x04goat\n\x14\n\x08feature3\x12\x08\x12\x06\n\x04[\xd3|?"
)


def test_an_example_that_tensorflow_wrote_is_read():
    assert parse_example(TENSORFLOWS) == {
        "feature0": [0],
        "feature1": [4],
        "feature2": [b"goat"],
        "feature3": [pytest.approx(0.9876, abs=1e-7)],
    }


def test_what_the_tests_write_is_what_tensorflow_writes():
    features = {"feature0": [0], "feature1": [4], "feature2": [b"goat"], "feature3": [0.9876]}
    assert example(features) == TENSORFLOWS


def test_negative_and_long_integers_and_lists_are_read():
    features = {"a": [-1, 0, 300, 2**40], "b": [b"", b"\x00\xff" * 200], "c": [1.5, -2.0], "none": []}
    assert parse_example(example(features)) == features


def test_numbers_that_are_not_packed_are_read():
    """Protocol Buffers' readers take both forms of a repeated number."""
    feature = b"\x1a\x04\x08\x05\x08\x07"  # Int64List with value 5 and value 7, each a field of its own
    entry = b"\n\x01a\x12" + bytes([len(feature)]) + feature
    inside = b"\n" + bytes([len(entry)]) + entry
    assert parse_example(b"\n" + bytes([len(inside)]) + inside) == {"a": [5, 7]}


@pytest.mark.parametrize("content", [TENSORFLOWS[:-3], b"\xff" * 20, b"\n\x03abc", b"\n\x05\n\x03\x12\x01"])
def test_a_damaged_example_is_refused(content):
    with pytest.raises(ValueError, match=r"it is|a field|an integer|wire"):
        parse_example(content)


def test_records_of_any_length_are_found(tmp_path):
    contents = [b"", b"a" * 5, b"b" * 40_000, b"c", *[bytes([number]) * 700 for number in range(60)]]
    (tmp_path / "a.tfrecord").write_bytes(records(contents))
    tree = FolderTree(tmp_path, ["a.tfrecord"])
    found = find_records(tree, "a.tfrecord")
    assert [tree.read_part(record.file, record.start, record.length) for record in found] == contents


@pytest.mark.parametrize("cut", [1, 6, 17, 25])
def test_a_file_that_is_cut_off_is_one_sentence(tmp_path, cut):
    (tmp_path / "a.tfrecord").write_bytes(records([b"x" * 30, b"y" * 10])[:-cut])
    with pytest.raises(DataError, match=r"a\.tfrecord of .* cannot be read as TFRecord"):
        find_records(FolderTree(tmp_path, ["a.tfrecord"]), "a.tfrecord")


def test_an_empty_file_has_no_records(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(b"")
    assert find_records(FolderTree(tmp_path, ["a.tfrecord"]), "a.tfrecord") == []
