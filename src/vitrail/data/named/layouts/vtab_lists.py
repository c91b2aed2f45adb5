"""VTAB-1k as a folder of lists: <task>/train800.txt, val200.txt and test.txt, with a path and a label on each line.

The layout is as ZhangYuanhan-AI/NOAH e9c55f3 writes it from TensorFlow Datasets: data/vtab-source/get_vtab1k.py, lines
49 to 79. Its images are JPEG once more. train800val200.txt and its images are the first two again.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property

from vitrail.core.errors import DataError
from vitrail.data.dataset import SplitName
from vitrail.data.named.file_tree import FileTree, read_lines

LISTS: dict[SplitName, str] = {"train": "train800.txt", "val": "val200.txt", "test": "test.txt"}


def find_lists(tree: FileTree) -> str | None:
    """The folder with the lists of a task, with a slash at its end; None if there are no lists."""
    name = LISTS["train"]
    return next((path.removesuffix(name) for path in sorted(tree.names) if path.endswith(f"/{name}")), None)


class VtabLists:
    """The images of one task."""

    def __init__(self, tree: FileTree, folder: str) -> None:
        self._tree, self._folder = tree, folder

    def parts(self) -> Mapping[SplitName, Sequence[str]]:
        """The paths of train, val and test; raises a DataError if a list is damaged or missing."""
        return {split: list(labels) for split, labels in self._labels.items()}

    def label(self, path: str) -> str:
        """The label of one image; raises OSError if the image is missing."""
        if path not in self._tree.names:
            raise OSError(0, "there is no such file")
        return next(labels[path] for labels in self._labels.values() if path in labels)

    def read(self, path: str) -> bytes:
        """The bytes of one image; raises OSError."""
        return self._tree.read(path)

    @cached_property
    def _labels(self) -> dict[SplitName, dict[str, str]]:
        """The label of each image of each list, by its path."""
        labels: dict[SplitName, dict[str, str]] = {}
        for split, name in LISTS.items():
            try:
                rows = [(path, label) for path, label in read_lines(self._tree, self._folder + name)]
            except ValueError as error:
                raise DataError(f"{name} of {self._tree.where} has a line that is not a path and a label.") from error
            labels[split] = {self._folder + path: label for path, label in rows}
        return labels
