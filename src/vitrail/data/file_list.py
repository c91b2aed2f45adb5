"""The files that a source lists, in columns: with a Python object for each, a million files would take 170 MB.

Letters: N files, L labels.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.data.dataset import ListedFile, SplitName

SPLITS: tuple[SplitName | None, ...] = (None, *get_args(SplitName))


class FileList(Sequence[ListedFile]):
    """Listed files, each made again when it is looked up. `labels` are all labels, in the order they were listed."""

    def __init__(self, files: Iterable[ListedFile]) -> None:
        labels: dict[str, int] = {}
        groups: dict[str | None, int] = {None: 0}
        self._letters, self._ends = bytearray(), array("i", [0])  # of all paths together
        self._label_N, self._group_N, self._split_N = array("i"), array("i"), array("b")
        for file in files:
            self._letters += file.path.encode()
            self._ends.append(len(self._letters))
            self._label_N.append(labels.setdefault(file.label, len(labels)))
            self._group_N.append(groups.setdefault(file.group, len(groups)))
            self._split_N.append(SPLITS.index(file.split))
        self.labels, self._groups = tuple(labels), tuple(groups)

    def __len__(self) -> int:
        return len(self._label_N)

    @overload
    def __getitem__(self, number: int) -> ListedFile: ...

    @overload
    def __getitem__(self, number: slice) -> list[ListedFile]: ...

    def __getitem__(self, number: int | slice) -> ListedFile | list[ListedFile]:
        if isinstance(number, slice):
            return [self[place] for place in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        return ListedFile(
            path=self.path(number),
            label=self.labels[self._label_N[number]],
            split=SPLITS[self._split_N[number]],
            group=self._groups[self._group_N[number]],
        )

    def path(self, number: int) -> str:
        """The path of a file, counted from the first."""
        return self._letters[self._ends[number] : self._ends[number + 1]].decode()

    def grouped(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each of these files has a group."""
        grouped_N: NDArray[np.bool_] = np.asarray(self._group_N)[numbers] > 0
        return grouped_N

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
        paths = pa.StringArray.from_buffers(len(self), pa.py_buffer(self._ends), pa.py_buffer(self._letters))
        return paths.take(pa.array(numbers)), place_L[label_N[numbers]], names.take(pa.array(split_N[numbers]))
