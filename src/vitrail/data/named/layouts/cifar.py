"""CIFAR-10 and CIFAR-100: images of 32 x 32 as arrays, in the binary form or in the form for Python.

The binary form is as tensorflow/datasets 0560e68 reads it: image_classification/cifar.py, `_cifar_info` and
`_load_data`. A record has one byte for the label (two for CIFAR-100: coarse and fine), and then 1,024 bytes each of
red, green and blue. The form for Python is as torchvision 0.28 reads it: datasets/cifar.py, lines 31 to 51, 77 to
102 and 152 to 170. Both give the same images, each as a PNG of the same bytes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, read_needed
from vitrail.data.named.plain_pickle import read_plain_pickle
from vitrail.data.sources.plain_png import plain_png

SIDE, PIXEL_BYTES = 32, 3 * 32 * 32
PATH = re.compile(r"(.+)/(\d{5})\.png")


@dataclass(frozen=True, slots=True)
class _Names:
    """The files of one form of one data set; `labels` is the file with the classes' names."""

    folder: str
    labels: str
    batches: dict[str, SplitName]
    pickled: bool


_TEN: dict[str, SplitName] = {**{f"data_batch_{number}": "train" for number in range(1, 6)}, "test_batch": "test"}
_HUNDRED: dict[str, SplitName] = {"train": "train", "test": "test"}


def _as_binary(batches: dict[str, SplitName]) -> dict[str, SplitName]:
    return {f"{batch}.bin": split for batch, split in batches.items()}


_BINARY = {
    10: _Names("cifar-10-batches-bin", "batches.meta.txt", _as_binary(_TEN), pickled=False),
    100: _Names("cifar-100-binary", "fine_label_names.txt", _as_binary(_HUNDRED), pickled=False),
}
_PYTHON = {
    10: _Names("cifar-10-batches-py", "batches.meta", _TEN, pickled=True),
    100: _Names("cifar-100-python", "meta", _HUNDRED, pickled=True),
}


class CifarFiles:
    """The images of either form."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        self._tree, self._classes = tree, card.classes
        binary = _BINARY[card.classes]
        is_binary = f"{binary.folder}/{binary.labels}" in tree.names
        self._names = binary if is_binary else _PYTHON[card.classes]

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """Every image, numbered within its batch."""
        yield from self._tree.aside
        class_names = self._read_class_names()
        for batch, split in self._names.batches.items():
            for number, label in enumerate(self._labels[batch]):
                if not 0 <= label < len(class_names):
                    raise DataError(f"{batch} of {self._tree.where} has a label {label}: fetch its files again.")
                yield ListedFile(path=f"{batch}/{number:05d}.png", label=class_names[label], split=split)

    def read(self, path: str) -> bytes:
        """The PNG of one image; raises OSError."""
        match = PATH.fullmatch(path)
        if match is None or match[1] not in self._names.batches:
            raise OSError(0, "it is not an image of CIFAR")
        batch, number = match[1], int(match[2])
        if self._names.pickled:
            pixels_N = self._pickled[batch][0]
            content = pixels_N[number].tobytes() if number < len(pixels_N) else b""
        else:
            start = number * self._record_bytes + self._record_bytes - PIXEL_BYTES
            content = self._tree.read_part(f"{self._names.folder}/{batch}", start, PIXEL_BYTES)
        if len(content) < PIXEL_BYTES:
            raise OSError(0, f"{batch} ends before this image does")
        return plain_png(np.frombuffer(content, np.uint8).reshape(3, SIDE, SIDE).transpose(1, 2, 0))

    def _read_class_names(self) -> list[str]:
        name = f"{self._names.folder}/{self._names.labels}"
        content = read_needed(self._tree, name)
        if not self._names.pickled:
            return [line.strip() for line in content.decode(errors="replace").splitlines() if line.strip()]
        try:
            meta = read_plain_pickle(content)
            names = meta["label_names" if self._classes == 10 else "fine_label_names"]
            return [label.decode() if isinstance(label, bytes) else str(label) for label in names]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{name} of {self._tree.where} cannot be read ({error}): fetch its files again.") from error

    @property
    def _record_bytes(self) -> int:
        return PIXEL_BYTES + (1 if self._classes == 10 else 2)

    @cached_property
    def _labels(self) -> dict[str, list[int]]:
        if self._names.pickled:
            return {batch: labels for batch, (_, labels) in self._pickled.items()}
        labels = {}
        for batch in self._names.batches:
            content = read_needed(self._tree, f"{self._names.folder}/{batch}")
            if len(content) % self._record_bytes:
                raise DataError(f"{batch} of {self._tree.where} is not whole records of CIFAR: fetch its files again.")
            # The fine label is the last byte before the pixels.
            labels[batch] = list(content[self._record_bytes - PIXEL_BYTES - 1 :: self._record_bytes])
        return labels

    @cached_property
    def _pickled(self) -> dict[str, tuple[NDArray[np.uint8], list[int]]]:
        return {batch: self._read_pickle(f"{self._names.folder}/{batch}") for batch in self._names.batches}

    def _read_pickle(self, name: str) -> tuple[NDArray[np.uint8], list[int]]:
        try:
            batch = read_plain_pickle(read_needed(self._tree, name))
            pixels_N, labels = batch["data"], batch["labels" if self._classes == 10 else "fine_labels"]
            if pixels_N.shape != (len(labels), PIXEL_BYTES) or not all(isinstance(label, int) for label in labels):
                raise ValueError("its images and labels do not fit together")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{name} of {self._tree.where} cannot be read ({error}): fetch its files again.") from error
        return pixels_N, labels
