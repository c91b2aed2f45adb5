"""PatchCamelyon: camelyonpatch_level_2_split_<split>_x.h5 with images of 96 x 96, and ..._y.h5 with labels.

The layout is as tensorflow/datasets 15f9f63 reads it: image_classification/patch_camelyon.py, `_generate_examples`. A
label is an array of one number.
"""

import re
from collections.abc import Sequence

import numpy as np

from vitrail.core.errors import DataError
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree
from vitrail.data.named.hdf5 import open_arrays
from vitrail.data.named.layouts.tfds import prepared_order
from vitrail.data.sources.plain_png import plain_png

SPLITS = {"train": "train", "validation": "valid", "test": "test"}
FILE = "camelyonpatch_level_2_split_{split}_{what}.h5"
SIDE = 96
PATH = re.compile(r"(train|valid|test)/(\d{6})\.png")


class PatchCamelyonRows:
    """The examples; their key is <split>_<number>, with the names of splits that the files have."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        self._labels: dict[str, list[int]] = {}
        self._pixels = {}
        for split in SPLITS.values():
            (pixels,) = open_arrays(tree, FILE.format(split=split, what="x"), ["x"])
            (labels,) = open_arrays(tree, FILE.format(split=split, what="y"), ["y"])
            if pixels.shape != (len(labels), SIDE, SIDE, 3) or labels.size != len(labels) or pixels.dtype != np.uint8:
                raise DataError(
                    f"The images and labels of {split} in {tree.where} do not fit together: fetch them again."
                )
            self._labels[split] = labels[()].flatten().tolist()
            self._pixels[split] = pixels

    def order(self, split: str) -> Sequence[str]:
        """The paths of a split's examples, in the order of TensorFlow Datasets."""
        name = SPLITS[split]
        keys = [f"{name}_{number}" for number in range(len(self._labels[name]))]
        return [f"{name}/{number:06d}.png" for number in prepared_order(keys, split)]

    def features(self, path: str) -> dict[str, list[int]]:
        """The label; raises OSError."""
        split, number = self._place_of(path)
        return {"label": [int(self._labels[split][number])]}

    def read(self, path: str) -> bytes:
        """The PNG of one image; raises OSError."""
        split, number = self._place_of(path)
        return plain_png(np.asarray(self._pixels[split][number]))

    def _place_of(self, path: str) -> tuple[str, int]:
        match = PATH.fullmatch(path)
        if match is None or int(match[2]) >= len(self._labels[match[1]]):
            raise OSError(0, "it is not an image of PatchCamelyon")
        return match[1], int(match[2])
