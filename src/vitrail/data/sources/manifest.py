"""A table of images: CSV or Parquet with the columns path and label, and perhaps split and group.

Paths are relative to the manifest. CSV is UTF-8, with or without a byte-order mark, separated by commas, semicolons or
tabs, as spreadsheets write it in different countries. Names of columns are read in any case; other columns are
left alone. Rows are numbered as a spreadsheet
shows them, the header of a CSV being row 1.
"""

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from vitrail.core.errors import DataError
from vitrail.data.dataset import Entry, SetAside
from vitrail.data.sources.folder import SPLIT_WORDS
from vitrail.data.sources.local import as_on_disk, class_name, read_file, written

REQUIRED = ("path", "label")
OPTIONAL = ("split", "group")
SEPARATORS = (",", ";", "\t")
NAMED_ROWS = 5  # of many bad rows, this many are named


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a manifest, as text without outer spaces; "" where a cell is empty or its column is not there."""

    number: int
    path: str
    label: str
    split: str
    group: str


class ManifestSource:
    """Images listed in a CSV or Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return written(self._path.stem)

    def entries(self) -> Iterator[Entry | SetAside]:
        """One entry a row, set aside where its file is missing; DataError where the table makes no sense."""
        rows = self._rows
        if not rows:
            raise DataError(f"The manifest {self._path} has no rows: add one row an image below the header.")
        self._refuse(rows, lambda row: not row.path, "no path", "fill it in or delete the row")
        self._refuse(rows, lambda row: not row.label, "no label", "fill it in or delete the row")
        self._check_splits(rows)
        for row in rows:
            where, on_disk = self._locate(row.path)
            if not on_disk.is_file():
                yield SetAside(
                    path=where, reason=f"row {row.number} of {self._path.name} names it, and there is no such file"
                )
                continue
            split = SPLIT_WORDS[row.split.lower()] if row.split else None
            yield Entry(path=where, label=class_name(row.label), split=split, group=row.group or None)

    def read(self, path: str) -> bytes:
        """The bytes of one file."""
        return read_file(self._path.parent / as_on_disk(path))

    @cached_property
    def _rows(self) -> list[Row]:
        return _from_parquet(self._path) if self._path.suffix.lower() == ".parquet" else _from_csv(self._path)

    def _check_splits(self, rows: Sequence[Row]) -> None:
        if not any(row.split for row in rows):
            return
        words = ", ".join(sorted(SPLIT_WORDS))
        self._refuse(
            rows,
            lambda row: bool(row.split) and row.split.lower() not in SPLIT_WORDS,
            "an unknown split",
            f"use one of {words}",
            lambda row: row.split,
        )
        self._refuse(
            rows,
            lambda row: not row.split,
            "no split while others have one",
            "fill the column in for every row, or leave it out and let Vitrail split",
        )

    def _refuse(
        self,
        rows: Sequence[Row],
        bad: Callable[[Row], bool],
        what: str,
        remedy: str,
        shown: Callable[[Row], str] = lambda row: "",
    ) -> None:
        found = [row for row in rows if bad(row)]
        if found:
            named = ", ".join(
                f"{row.number}" + (f" ({written(shown(row))})" if shown(row) else "") for row in found[:NAMED_ROWS]
            )
            more = f" and {len(found) - NAMED_ROWS} more" if len(found) > NAMED_ROWS else ""
            noun = "Row" if len(found) == 1 else "Rows"
            verb = "has" if len(found) == 1 else "have"
            raise DataError(f"{noun} {named}{more} of {self._path} {verb} {what}: {remedy}.")

    def _locate(self, given: str) -> tuple[str, Path]:
        """The path as the data set writes it, and where it lies."""
        folder = self._path.parent
        if "\\" in given and not (folder / given).is_file():
            given = given.replace("\\", "/")  # the table was made on Windows
        path = PurePath(given)
        relative = PurePath(os.path.relpath(path, folder.resolve())) if path.is_absolute() else path
        return written(str(PurePosixPath(*relative.parts))), folder / path


def _from_csv(path: Path) -> list[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(f"The manifest {path} is not UTF-8 in line {line}: save it as CSV UTF-8.") from error
    except OSError as error:
        raise DataError(f"The manifest {path} cannot be read: {error.strerror}.") from error
    header, _, _ = text.partition("\n")
    separator = max(SEPARATORS, key=header.count)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise DataError(f"The manifest {path} is no valid CSV ({error}): check its quotation marks.") from error
    columns = _columns(table[0] if table else [], path)
    width = len(table[0])
    for number, cells in enumerate(table[1:], start=2):
        if cells and len(cells) != width:
            raise DataError(
                f"Row {number} of {path} has {len(cells)} cells where the header has {width}: "
                "put quotation marks round cells that contain the separator."
            )
    cell = {name: [cells[index] if cells else "" for cells in table[1:]] for name, index in columns.items()}
    filled = [bool(cells) and any(map(str.strip, cells)) for cells in table[1:]]
    return _make_rows(cell, filled, first=2)


def _from_parquet(path: Path) -> list[Row]:
    try:
        schema = pq.read_schema(path)
        columns = _columns(schema.names, path)
        table = pq.read_table(path, columns=[schema.names[index] for index in columns.values()])
        cell = {
            name: [value or "" for value in table.column(schema.names[index]).cast(pa.string()).to_pylist()]
            for name, index in columns.items()
        }
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"The manifest {path} cannot be read as Parquet: {str(error).splitlines()[0]}.") from error
    return _make_rows(cell, [True] * table.num_rows, first=1)


def _columns(names: Sequence[str], path: Path) -> dict[str, int]:
    """Where each column that we know is found."""
    known = [name.strip().lower() for name in names]
    missing = [name for name in REQUIRED if name not in known]
    if missing:
        found = ", ".join(written(name.strip()) for name in names) or "none"
        raise DataError(
            f"The manifest {path} has no column {' and no column '.join(missing)} (found: {found}): "
            "its first row must name path and label, and may name split and group."
        )
    twice = [name for name in REQUIRED + OPTIONAL if known.count(name) > 1]
    if twice:
        raise DataError(f"The manifest {path} has the column {twice[0]} twice: rename or delete one of them.")
    return {name: known.index(name) for name in REQUIRED + OPTIONAL if name in known}


def _make_rows(cell: dict[str, list[str]], filled: Sequence[bool], *, first: int) -> list[Row]:
    empty = [""] * len(filled)
    columns = [[text.strip() for text in cell.get(name, empty)] for name in REQUIRED + OPTIONAL]
    return [
        Row(number, *cells)
        for number, (keep, *cells) in enumerate(zip(filled, *columns, strict=True), start=first)
        if keep
    ]
