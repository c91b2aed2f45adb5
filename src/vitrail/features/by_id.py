"""What is known of each example, looked up by id in the sorted table: no Python object is kept for each example."""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrail.data.dataset import whole

Owner = TypeVar("Owner")


class Paths(Mapping[str, list[str]]):
    """The paths of each example."""

    def __init__(self, table: pa.Table) -> None:
        """From a table with EXAMPLE_SCHEMA, sorted by id."""
        self.ids, self._paths = (whole(table[name]) for name in ("id", "paths"))

    def __getitem__(self, example: str) -> list[str]:
        paths: list[str] = self._paths[self.row(example)].as_py()
        return paths

    def __iter__(self) -> Iterator[str]:
        return (self.ids[row].as_py() for row in range(len(self.ids)))

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, example: str) -> int:
        """The row of an example in the table; raises KeyError if it has none."""
        row = bisect_left(range(len(self.ids)), example, key=lambda row: self.ids[row].as_py())
        if row == len(self.ids) or self.ids[row].as_py() != example:
            raise KeyError(example)
        return row

    def first(self, row: int) -> str:
        """The first path of the example in a row."""
        path: str = self._paths[row].as_py()[0]
        return path

    def some_ids(self, wanted_N: NDArray[np.bool_]) -> pa.Array:
        """The ids of the wanted rows of the table, not copied if all are wanted."""
        return self.ids if wanted_N.all() else self.ids.filter(pa.array(wanted_N))

    def less(self, wanted_N: NDArray[np.bool_], examples: Collection[str]) -> NDArray[np.bool_]:
        """The wanted rows of the table without those of these examples."""
        return wanted_N & ~np.isin(np.arange(len(self)), [self.row(example) for example in examples])

    def table(self, rows: NDArray[np.int64]) -> pa.Table:
        """Some rows of the table, sorted by id, with what a process elsewhere needs to find them."""
        sorted_N = pa.array(np.sort(rows))
        return pa.table({"id": self.ids.take(sorted_N), "paths": self._paths.take(sorted_N)})

    def reading_order(self) -> NDArray[np.int64]:
        """The rows in the order of their first paths: neighbours in an archive or on a disk are read together."""
        first = pc.list_element(self._paths, 0)
        return np.asarray(pc.array_sort_indices(first).to_numpy(), dtype=np.int64)


class Missing(Mapping[str, list[Owner]], Generic[Owner]):
    """The examples without a row, in reading order, each with those who lack it."""

    def __init__(self, paths: Paths, lacks: Mapping[Owner, NDArray[np.bool_]]) -> None:
        """From one mask over the table's rows for each owner."""
        self._paths = paths
        self._lacks = {owner: lacks_N for owner, lacks_N in lacks.items() if lacks_N.any()}
        some = np.logical_or.reduce(list(self._lacks.values())) if self._lacks else np.zeros(len(paths), np.bool_)
        order = paths.reading_order()
        self.rows = order[some[order]]

    @property
    def owners(self) -> list[Owner]:
        """Those who lack a row."""
        return list(self._lacks)

    def count(self, owner: Owner) -> int:
        """How many rows it lacks."""
        return int(self._lacks[owner].sum()) if owner in self._lacks else 0

    def __getitem__(self, example: str) -> list[Owner]:
        row = self._paths.row(example)
        return [owner for owner, lacks_N in self._lacks.items() if lacks_N[row]]

    def __iter__(self) -> Iterator[str]:
        return (self._paths.ids[row].as_py() for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)
