"""The files that a source lists, in columns: with a Python object for each, a million files would take 170 MB.

Letters: N files, L labels.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import get_args, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.data.dataset import ListedFile, SplitName

CHUNK = 4096  # files that are held as objects at once
SPLITS: tuple[SplitName | None, ...] = (None, *get_args(SplitName))


class FileList(Sequence[ListedFile]):
    """Listed files, each made again when it is looked up. `labels` are all labels, in the order they were listed."""

    def __init__(self, files: Iterable[ListedFile]) -> None:
        codes: dict[str, int] = {}
        self._label_N, self._split_N = array("i"), array("b")
        self._groups: list[str | None] = []
        chunks = []
        rest = iter(files)
        while chunk := list(islice(rest, CHUNK)):
            chunks.append(pa.array([file.path for file in chunk], pa.string()))
            self._label_N.extend(codes.setdefault(file.label, len(codes)) for file in chunk)
            self._split_N.extend(SPLITS.index(file.split) for file in chunk)
            self._groups.extend(file.group for file in chunk)
        self._paths = pa.chunked_array(chunks, pa.string()).combine_chunks()
        self.labels = tuple(codes)

    def __len__(self) -> int:
        return len(self._label_N)

    @overload
    def __getitem__(self, number: int) -> ListedFile: ...

    @overload
    def __getitem__(self, number: slice) -> list[ListedFile]: ...

    def __getitem__(self, number: int | slice) -> ListedFile | list[ListedFile]:
        if isinstance(number, slice):
            return [self[place] for place in range(*number.indices(len(self)))]
        return ListedFile(
            path=self._paths[number].as_py(),
            label=self.labels[self._label_N[number]],
            split=SPLITS[self._split_N[number]],
            group=self._groups[number],
        )

    def grouped(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each of these files has a group."""
        return np.fromiter((self._groups[number] is not None for number in numbers), np.bool_, len(numbers))

    def labels_of(self, numbers: NDArray[np.int64]) -> Iterator[str]:
        """The label of each of these files."""
        return (self.labels[self._label_N[number]] for number in numbers)

    def columns(
        self, numbers: NDArray[np.int64], classes: Sequence[str]
    ) -> tuple[pa.Array, NDArray[np.int32], pa.Array]:
        """The path, the label's place in `classes` and the given split of each of these files."""
        place = {label: number for number, label in enumerate(classes)}
        place_L = np.array([place[label] for label in self.labels], np.int32)
        names = pa.array(SPLITS, pa.string())
        label_N, split_N = np.asarray(self._label_N), np.asarray(self._split_N)
        return self._paths.take(pa.array(numbers)), place_L[label_N[numbers]], names.take(pa.array(split_N[numbers]))
