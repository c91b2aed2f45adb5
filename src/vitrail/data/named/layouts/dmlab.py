"""DMLab frames: dmlab-<split>.tfrecord-<shard>, in which each Example has filename, image and label.

The layout is as tensorflow/datasets 146b8e1 reads it: image_classification/dmlab.py, `_generate_examples`. The classes
are {close, far, very far} x {positive reward, negative reward}.
"""

import re
from collections.abc import Sequence
from functools import cache

from vitrail.core.errors import DataError
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree
from vitrail.data.named.layouts.tfds import prepared_order
from vitrail.data.named.tfrecords import Example, Record, find_records

FILE = re.compile(r"(?:.*/)?dmlab-(train|validation|test)\.tfrecord[^/]*")
PATH = re.compile(r"(train|validation|test)/(\d{6})")


class DmlabRows:
    """The examples; their key is `filename`. The number in a path is the place among all records of the split."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        self._tree = tree
        self._records_of = cache(self._find_records)

    def order(self, split: str) -> Sequence[str]:
        """The paths of a split's examples, in the order of TensorFlow Datasets: each record is read once for it."""
        try:
            keys = [record.read(self._tree)["filename"][0] for record in self._records_of(split)]
        except (OSError, KeyError, IndexError) as error:
            raise DataError(f"The frames of {split} in {self._tree.where} cannot be read ({error}).") from error
        return [f"{split}/{place:06d}" for place in prepared_order(keys, split)]

    def features(self, path: str) -> Example:
        """What an example says; raises OSError."""
        match = PATH.fullmatch(path)
        if match is None or int(match[2]) >= len(self._records_of(match[1])):
            raise OSError(0, "it is not a frame of DMLab")
        return self._records_of(match[1])[int(match[2])].read(self._tree)

    def read(self, path: str) -> bytes:
        """The image of one example; raises OSError."""
        image: bytes = self.features(path)["image"][0]
        return image

    def _find_records(self, split: str) -> list[Record]:
        names = sorted(name for name in self._tree.names if (match := FILE.fullmatch(name)) and match[1] == split)
        if not names:
            raise DataError(f"{self._tree.where} has no frames of {split}: fetch its files again.")
        return [record for name in names for record in find_records(self._tree, name)]
