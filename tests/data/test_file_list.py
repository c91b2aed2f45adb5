import tracemalloc

import numpy as np

from vitrail.data import ListedFile
from vitrail.data.file_list import FileList

FILES = [
    ListedFile(path="é/1.jpg", label="é", split="test"),
    ListedFile(path="a/2.jpg", label="a", split=None, group="g"),
    ListedFile(path="a/3.jpg", label="a", split="calibration"),
    ListedFile(path="é/4.jpg", label="é", split="train", group="g"),
]


def test_a_file_is_looked_up_as_it_was_listed():
    files = FileList(iter(FILES))
    assert list(files) == FILES
    assert files[1:3] == FILES[1:3]
    assert files[-1] == FILES[-1]
    assert files.labels == ("é", "a")


def test_columns_follow_the_numbers_that_are_given():
    files, numbers = FileList(FILES), np.array([3, 1])
    paths, label_N, splits = files.columns(numbers, ("a", "é"))
    assert paths.to_pylist() == ["é/4.jpg", "a/2.jpg"]
    assert label_N.tolist() == [1, 0]
    assert splits.to_pylist() == ["train", None]
    assert list(files.labels_of(numbers)) == ["é", "a"]
    assert files.grouped(np.array([0, 1, 2, 3])).tolist() == [False, True, False, True]


def test_nothing_listed_is_an_empty_list():
    files = FileList([])
    assert (len(files), files.labels) == (0, ())
    assert files.columns(np.array([], np.int64), ())[0].to_pylist() == []


def test_a_listed_file_takes_little_memory():
    tracemalloc.start()
    files = FileList(ListedFile(path=f"class/{number:06d}.jpg", label="class") for number in range(20_000))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / len(files) < 40  # of which the path has 16
