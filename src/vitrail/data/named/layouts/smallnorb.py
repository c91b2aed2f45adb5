"""Small NORB: toys seen by two cameras, of which VTAB takes the first.

The layout is as tensorflow/datasets 0560e68 reads it: image_classification/smallnorb.py, `_load_chunk` and
`read_binary_matrix`. A file is a code for the type of the numbers, the number of axes, at least three lengths, and the
numbers, little-endian. The info of an image is instance, elevation, azimuth (0, 2 to 34) and lighting.
"""

import re
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import DataError
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree
from vitrail.data.named.layouts.tfds import prepared_order
from vitrail.data.sources.plain_png import plain_png

FILES = {
    "train": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "test": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}
TYPES: dict[int, np.dtype[Any]] = {507333717: np.dtype(np.uint8), 507333716: np.dtype("<i4")}
SIDE, CAMERAS = 96, 2
HEADER_BYTES = 24  # with four lengths
PATH = re.compile(r"(train|test)/(\d{5})\.png")


class SmallNorbRows:
    """The examples; their key is their number."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        self._tree = tree
        self._info = {split: self._read_info(split) for split in FILES}

    def order(self, split: str) -> Sequence[str]:
        """The paths of a split's examples, in the order of TensorFlow Datasets."""
        return [f"{split}/{number:05d}.png" for number in prepared_order(range(len(self._info[split])), split)]

    def features(self, path: str) -> dict[str, list[int]]:
        """Elevation from 0 to 8, and azimuth from 0 to 17; raises OSError."""
        split, number = self._place_of(path)
        _, elevation, azimuth, _ = self._info[split][number]
        return {"label_elevation": [int(elevation)], "label_azimuth": [int(azimuth) // 2]}

    def read(self, path: str) -> bytes:
        """The PNG of the first camera's image; raises OSError."""
        split, number = self._place_of(path)
        start = HEADER_BYTES + number * CAMERAS * SIDE * SIDE
        content = self._tree.read_part(f"{FILES[split]}-dat.mat", start, SIDE * SIDE)
        if len(content) < SIDE * SIDE:
            raise OSError(0, "the file ends before this image does")
        return plain_png(np.frombuffer(content, np.uint8).reshape(SIDE, SIDE))

    def _place_of(self, path: str) -> tuple[str, int]:
        match = PATH.fullmatch(path)
        if match is None or int(match[2]) >= len(self._info[match[1]]):
            raise OSError(0, "it is not an image of Small NORB")
        return match[1], int(match[2])

    def _read_info(self, split: str) -> NDArray[Any]:
        """The four numbers of each image."""
        _, (images, cameras, *sides) = self._read_header(f"{FILES[split]}-dat.mat", 4)
        name = f"{FILES[split]}-info.mat"
        kind, shape = self._read_header(name, 2)
        length = prod(shape) * kind.itemsize
        content = self._tree.read_part(name, HEADER_BYTES - 4, length)
        if (cameras, *sides) != (CAMERAS, SIDE, SIDE) or tuple(shape) != (images, 4) or len(content) < length:
            raise DataError(f"{name} of {self._tree.where} does not belong to images of Small NORB: fetch it again.")
        return np.frombuffer(content, kind).reshape(images, 4)

    def _read_header(self, name: str, axes: int) -> tuple[np.dtype[Any], list[int]]:
        """The type and the lengths of an array; fewer than three lengths are followed by ones."""
        try:
            header = np.frombuffer(self._tree.read_part(name, 0, HEADER_BYTES), "<i4").tolist()
            if header[1] != axes:
                raise ValueError("another number of axes")
            return TYPES[header[0]], header[2 : 2 + axes]
        except (OSError, KeyError, ValueError, IndexError) as error:
            raise DataError(f"{name} of {self._tree.where} cannot be read: fetch its files again.") from error
