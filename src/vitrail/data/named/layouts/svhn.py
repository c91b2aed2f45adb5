"""SVHN, format 2: digits of 32 x 32 in train_32x32.mat and test_32x32.mat.

The layout is as torchvision 0.28 reads it: datasets/svhn.py, lines 79 to 93. X has the pixels, as rows, columns,
colours and images, and y the labels, where 10 means the digit 0. The pixels of both files, 0.3 GB, stay in memory.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, read_needed
from vitrail.data.named.mat_files import read_mat
from vitrail.data.sources.plain_png import plain_png

FILES: dict[str, SplitName] = {"train_32x32.mat": "train", "test_32x32.mat": "test"}
SIDE = 32
PATH = re.compile(r"(.+)/(\d{6})\.png")


class SvhnFiles:
    """The images of both files."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        self._tree = tree

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """Every image, numbered within its file."""
        for name, split in FILES.items():
            for number, label in enumerate(self._arrays[name][1]):
                yield ListedFile(path=f"{name}/{number:06d}.png", label=str(label % 10), split=split)

    def read(self, path: str) -> bytes:
        """The PNG of one image; raises OSError."""
        match = PATH.fullmatch(path)
        if match is None or match[1] not in FILES or int(match[2]) >= len(self._arrays[match[1]][1]):
            raise OSError(0, "it is not an image of SVHN")
        return plain_png(self._arrays[match[1]][0][..., int(match[2])])

    @cached_property
    def _arrays(self) -> dict[str, tuple[NDArray[np.uint8], NDArray[Any]]]:
        return {name: self._read_file(name) for name in FILES}

    def _read_file(self, name: str) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        pixels_HWCN, label_N = read_mat(read_needed(self._tree, name), ["X", "y"], f"{name} of {self._tree.where}")
        if (
            pixels_HWCN.dtype != np.uint8
            or pixels_HWCN.shape != (SIDE, SIDE, 3, len(label_N))
            or not set(np.unique(label_N)) <= set(range(1, 11))
        ):
            raise DataError(f"{name} of {self._tree.where} does not hold digits of SVHN: fetch it again.")
        return pixels_HWCN, label_N.astype(np.int64)
