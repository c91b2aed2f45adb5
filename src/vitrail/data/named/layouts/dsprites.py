"""dSprites: all 737,280 images of 64 x 64 in one HDF5 file, as zeros and ones.

The layout is as tensorflow/datasets 07bcaaa reads it: datasets/dsprites/dsprites_dataset_builder.py,
`_generate_examples`. The classes of an image are colour, shape, scale, orientation, and place in x and in y.

VTAB multiplies the pixels by 255 (task_adaptation d7630d3, data/dsprites.py, `preprocess_fn`). The images stay in
memory as bits, 0.4 GB: a single one cannot be read from the file without unpacking many.
"""

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitrail.core.errors import DataError
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree
from vitrail.data.named.hdf5 import open_arrays
from vitrail.data.named.layouts.tfds import prepared_order
from vitrail.data.sources.plain_png import plain_png

FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5"
SIDE, LATENTS = 64, 6
ORIENTATION, PLACE_X = 3, 4
AT_ONCE = 8192  # images
PATH = re.compile(r"(\d{6})\.png")


class DspritesRows:
    """The examples, all in train; their key is their number."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        self._pixels, self._classes = _read_arrays(tree)

    def order(self, split: str) -> Sequence[str]:
        """The paths of the examples, in the order of TensorFlow Datasets."""
        return [f"{number:06d}.png" for number in prepared_order(range(len(self._classes)), split)]

    def features(self, path: str) -> dict[str, list[int]]:
        """Orientation and place; raises OSError."""
        classes = self._classes[self._number_of(path)]
        return {"label_orientation": [int(classes[ORIENTATION])], "label_x_position": [int(classes[PLACE_X])]}

    def read(self, path: str) -> bytes:
        """The PNG of one image, black and white; raises OSError."""
        bits = self._pixels[self._number_of(path)]
        return plain_png(np.unpackbits(bits).reshape(SIDE, SIDE) * np.uint8(255))

    def _number_of(self, path: str) -> int:
        match = PATH.fullmatch(path)
        if match is None or int(match[1]) >= len(self._classes):
            raise OSError(0, "it is not an image of dSprites")
        return int(match[1])


def _read_arrays(tree: FileTree) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """The pixels of each image as bits, and its classes."""
    pixels, classes = open_arrays(tree, FILE, ["imgs", "latents/classes"])
    if pixels.shape != (len(classes), SIDE, SIDE) or classes.shape[1:] != (LATENTS,):
        raise DataError(f"{FILE} of {tree.where} has arrays of other shapes than dSprites: fetch it again.")
    slabs = [_pack(pixels[start : start + AT_ONCE]) for start in range(0, len(classes), AT_ONCE)]
    return np.concatenate(slabs), classes[()]


def _pack(pixels_NHW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.packbits(pixels_NHW.reshape(len(pixels_NHW), -1), axis=1)


def brighten(data: bytes) -> bytes:
    """An image of zeros and ones, as TensorFlow Datasets stores it, in black and white; raises OSError."""
    with Image.open(io.BytesIO(data)) as image:
        return plain_png(np.asarray(image.convert("L")) * np.uint8(255))
