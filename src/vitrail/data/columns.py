"""Further columns of a manifest, such as site, camera, sex or year: which are used, and the value of each example.

Only named columns are used. If no column is named for slices, these are all further columns with 2 to 20 values, except
a column that only renames the classes. An empty cell is a missing value. Files with equal bytes are one example: if
their values differ, the value of the example is missing.

Letters: F files, N examples.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrail.core.errors import UsageError
from vitrail.data.dataset import COLUMN_PREFIX, Dataset, ListedFile, fingerprint_of

MOST_VALUES = 20  # of a column that nobody named


class FurtherColumns:
    """Gathers the values of listed files as numbers: most columns have few different values."""

    def __init__(self) -> None:
        self._number_of: dict[str, dict[str, int]] = {}
        self._numbers: dict[str, array[int]] = {}  # by column, one for each file; -1 for a missing value

    def note(self, files: Iterable[ListedFile]) -> Iterator[ListedFile]:
        """Pass the files on and keep their values."""
        for place, file in enumerate(files):
            for column, text in file.further.items():
                numbers = self._numbers.setdefault(column, array("i"))
                numbers.extend([-1] * (place - len(numbers)))
                known = self._number_of.setdefault(column, {})
                numbers.append(known.setdefault(text, len(known)) if text else -1)
            yield file

    @property
    def names(self) -> list[str]:
        """The names of the columns that the files have."""
        return list(self._numbers)

    def values(self, column: str) -> list[str]:
        """The different values of a column, in the order in which they were met."""
        return list(self._number_of[column])

    def filled(self, column: str) -> int:
        """How many files have a value in a column."""
        return sum(number >= 0 for number in self._numbers[column])

    def attach(self, table: pa.Table, digest_F: NDArray[np.bytes_]) -> pa.Table:
        """The table of the examples with a column of texts for each further column.

        `digest_F` has the raw digest of each file, whose hexadecimal form is the id of its example, or b"" if it was
        set aside.
        """
        if not self._numbers:
            return table
        ids_N = np.frombuffer(bytes.fromhex("".join(table["id"].to_pylist())), digest_F.dtype)
        row_F = np.minimum(np.searchsorted(ids_N, digest_F), len(ids_N) - 1)
        used_F = ids_N[row_F] == digest_F
        for column, numbers in self._numbers.items():
            number_F = np.full(len(digest_F), -1)
            number_F[: len(numbers)] = numbers
            there_F = used_F & (number_F >= 0)
            least_N, most_N = np.full(len(ids_N), np.iinfo(np.int64).max), np.full(len(ids_N), -1)
            np.minimum.at(least_N, row_F[there_F], number_F[there_F])
            np.maximum.at(most_N, row_F[there_F], number_F[there_F])
            known_N = least_N == most_N
            places = pa.array(np.where(known_N, most_N, 0), mask=~known_N)
            table = table.append_column(
                COLUMN_PREFIX + column, pa.array(list(self._number_of[column]), pa.string()).take(places)
            )
        return table


def list_columns(dataset: Dataset) -> list[str]:
    """The names of the further columns."""
    names = dataset.table.column_names
    return [name.removeprefix(COLUMN_PREFIX) for name in names if name.startswith(COLUMN_PREFIX)]


def keep_columns(dataset: Dataset, slices: Sequence[str], leave_out: str | None) -> Dataset:
    """The data set with the further columns that a benchmark uses, which its fingerprint then covers, and its slices.

    Args:
        dataset: the examples, with all their labels.
        slices: the columns named for slices; if empty, the rule above chooses.
        leave_out: the column whose values are left out in turn, if any.

    Raises:
        UsageError: a named column does not exist, or the column to leave out has fewer than two values.
    """
    require_columns(list_columns(dataset), name_columns(slices, leave_out), dataset.name)
    if leave_out is not None and len(values := _values(dataset, leave_out)) < 2:
        raise UsageError(
            f"The column {leave_out} of {dataset.name} has {f'one value, {values[0]}' if values else 'no value'}: "
            "--leave-out needs at least two, so that a head can train on one and be tested on another."
        )
    chosen = tuple(dict.fromkeys(slices or _choose_slices(dataset)))
    unused = [COLUMN_PREFIX + name for name in list_columns(dataset) if name not in (*chosen, leave_out)]
    table = dataset.table.drop_columns(unused)
    return replace(dataset, table=table, fingerprint=fingerprint_of(table, dataset.classes), slices=chosen)


def _choose_slices(dataset: Dataset) -> list[str]:
    """The further columns that are shown if none was named."""
    return [
        name
        for name in list_columns(dataset)
        if 2 <= len(_values(dataset, name)) <= MOST_VALUES and not _renames_classes(dataset, name)
    ]


def _values(dataset: Dataset, column: str) -> list[str]:
    distinct = dataset.table[COLUMN_PREFIX + column].unique().to_pylist()
    return sorted(value for value in distinct if value is not None)


def _renames_classes(dataset: Dataset, column: str) -> bool:
    """Whether each value belongs to one class and each class to one value."""
    name = COLUMN_PREFIX + column
    pairs = dataset.table.select([name, "label"]).filter(pc.is_valid(dataset.table[name])).group_by([name, "label"])
    both = pairs.aggregate([])
    return bool(both.num_rows == len(both[name].unique()) == len(both["label"].unique()))


def name_columns(slices: Sequence[str], leave_out: str | None) -> tuple[str, ...]:
    """The columns that were named for slices and for being left out."""
    return (*slices, *(() if leave_out is None else (leave_out,)))


def require_columns(known: Sequence[str], wanted: Sequence[str], data_name: str) -> None:
    """Raise a UsageError unless the further columns of a data set have every wanted name."""
    for column in wanted:
        if column not in known:
            there = f"it has {', '.join(known)}" if known else "its only columns are path, label, split and group"
            raise UsageError(f"{data_name} has no column {column!r} ({there}): give a name from the manifest's header.")
