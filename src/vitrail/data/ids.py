"""Ids of examples as rows of the table of examples: a million strings of their own would take 130 MB.

Letters: N examples of the table, M of these ids.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrail.core.hashing import ROWS_AT_ONCE


class Ids(Sequence[str]):
    """Some ids of a table, in its order, which is sorted. A tuple of the same strings is equal to it."""

    __slots__ = ("_column", "row_M")

    def __init__(self, column: pa.Array, row_M: NDArray[np.integer[Any]]) -> None:
        """From the ids of the table in one piece, which are shared, and the numbers of some rows in ascending order."""
        self._column, self.row_M = column, row_M.astype(np.int32)

    def less(self, gone: Collection[str]) -> "Ids":
        """These without some others."""
        if not gone:
            return self
        gone_M = pc.is_in(self.column(), value_set=pa.array(sorted(gone), pa.string())).to_numpy(zero_copy_only=False)
        return Ids(self._column, self.row_M[~gone_M])

    def column(self) -> pa.Array:
        """The ids as a column of their own."""
        return self._column.take(pa.array(self.row_M))

    def blocks(self) -> Iterator[list[str]]:
        """The ids, some at a time."""
        for start in range(0, len(self), ROWS_AT_ONCE):
            yield self._column.take(pa.array(self.row_M[start : start + ROWS_AT_ONCE])).to_pylist()

    def __len__(self) -> int:
        return len(self.row_M)

    def __iter__(self) -> Iterator[str]:
        return (id_ for block in self.blocks() for id_ in block)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> "Ids": ...

    def __getitem__(self, place: int | slice) -> "str | Ids":
        if isinstance(place, slice):
            return Ids(self._column, self.row_M[place])
        id_: str = self._column[int(self.row_M[place])].as_py()
        return id_

    def __contains__(self, id_: object) -> bool:
        place = bisect_left(self, id_) if isinstance(id_, str) else len(self)
        return place < len(self) and self[place] == id_

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ids | tuple):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:  # noqa: A002 - pyarrow's name
        return self.column() if type is None else self.column().cast(type)

    def __repr__(self) -> str:
        shown = ", ".join(self[place] for place in range(min(2, len(self))))
        return f"Ids({len(self)}: {shown}{', ...' if len(self) > 2 else ''})"
