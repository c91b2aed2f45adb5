"""The rows of a manifest: CSV or Parquet with the columns path and label, and perhaps split, group and further columns.

CSV is UTF-8, with or without a byte-order mark, separated by commas, semicolons or tabs, as spreadsheets write it in
different countries. Names of columns are read in any case. A further column, such as site or camera, is read under its
own name; those without a name, with the name of another, or called note, in which `vitrail audit --fix` writes, are
not. Rows are numbered as a spreadsheet shows them, the header of a CSV being row 1.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from vitrail.core.errors import DataError
from vitrail.data.sources.local import clean_text, written
from vitrail.data.sources.parquet_limits import MOST_ROWS
from vitrail.data.sources.parquet_process import PROCESS
from vitrail.data.sources.ranges import ReadRanges
from vitrail.data.sources.split_words import SPLIT_WORDS

MOST_TABLE_BYTES = 1 << 30
TABLES = (".csv", ".tsv", ".parquet")
REQUIRED = ("path", "label")
OPTIONAL = ("split", "group")
NOTE = "note"  # of `vitrail audit --fix`, which no benchmark reads
SEPARATORS = (",", ";", "\t")
NAMED_ROWS = 5  # of many bad rows, this many are named


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a manifest, in the form of `clean_text`; "" where a cell is empty or its column is not there.

    Only the path is as it is written in the table: a file's name may begin or end with a space. A row with a `fault`, a
    cell that cannot be read as text, is set aside.
    """

    number: int
    path: str
    label: str
    split: str
    group: str
    further: dict[str, str] = field(default_factory=dict)
    fault: str = ""


def read_rows(content: bytes, where: str, required: Sequence[str] = REQUIRED) -> list[Row]:
    """The rows of a manifest that are not empty, in order.

    Args:
        content: the whole file.
        where: its name, which says whether it is Parquet.
        required: the columns that it must have.

    Raises:
        DataError: it is not a table with these columns, or is over a limit.
    """
    if len(content) > MOST_TABLE_BYTES:  # of an archive; a file's own size is checked before it is read
        raise DataError(f"The manifest {where} has more than {MOST_TABLE_BYTES:,} bytes: split it into several.")
    if where.lower().endswith(".parquet"):
        return _from_parquet(content, where, required)
    return _from_csv(content, where, required)


def lists_images(content: bytes, where: str) -> bool:
    """Whether a table has the columns of a manifest, rather than being some other table that lies about."""
    if where.lower().endswith(".parquet"):
        try:
            ((answer, _),) = _call("column_names", content, where)
        except OSError:
            return False
        names = answer["value"]
    else:
        header = re.split(rb"[\r\n]", content, maxsplit=1)[0].decode("utf-8-sig", errors="replace")
        names = re.split(f"[{''.join(SEPARATORS)}]", header.replace('"', ""))
    return set(REQUIRED) <= {name.strip().lower() for name in names}


def check_rows(rows: Sequence[Row], where: str) -> None:
    """Refuse rows that cannot carry a benchmark, those with a fault apart; `where` is the manifest's name in errors.

    Raises:
        DataError: there are none, or some have no path, no label, or an unknown split.
    """
    rows = check_paths(rows, where)
    _refuse(rows, where, lambda row: not row.label, "no label", "fill it in or delete the row")
    if any(row.split for row in rows):
        _refuse(
            rows,
            where,
            lambda row: bool(row.split) and row.split.lower() not in SPLIT_WORDS,
            "an unknown split",
            f"use one of {', '.join(sorted(SPLIT_WORDS))}",
            lambda row: row.split,
        )
        _refuse(
            rows,
            where,
            lambda row: not row.split,
            "no split while others have one",
            "fill in the column for every row, or remove it and let Vitrail split",
        )


def check_paths(rows: Sequence[Row], where: str) -> list[Row]:
    """The rows without a fault, each of which has a path; `where` is the manifest's name in errors.

    Raises:
        DataError: there are none, or some have no path.
    """
    rows = [row for row in rows if not row.fault]
    if not rows:
        raise DataError(f"The manifest {where} has no rows: add one row per image below the header.")
    _refuse(rows, where, lambda row: not row.path.strip(), "no path", "fill it in or delete the row")
    return rows


def _refuse(
    rows: Sequence[Row],
    where: str,
    bad: Callable[[Row], bool],
    what: str,
    remedy: str,
    shown: Callable[[Row], str] = lambda row: "",
) -> None:
    faulty = [row for row in rows if bad(row)]
    if faulty:
        named = ", ".join(f"{row.number}" + (f" ({shown(row)})" if shown(row) else "") for row in faulty[:NAMED_ROWS])
        more = f" and {len(faulty) - NAMED_ROWS} more" if len(faulty) > NAMED_ROWS else ""
        noun = "Row" if len(faulty) == 1 else "Rows"
        verb = "has" if len(faulty) == 1 else "have"
        raise DataError(f"{noun} {named}{more} of {where} {verb} {what}: {remedy}.")


def _from_csv(content: bytes, where: str, required: Sequence[str]) -> list[Row]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"The manifest {where} is not UTF-8 in line {line}: save it as CSV UTF-8.") from error
    separator = max(SEPARATORS, key=text.partition("\n")[0].count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        table = list(islice(reader, MOST_ROWS + 2))
    except csv.Error as error:
        raise DataError(f"The manifest {where} is not a valid CSV ({error}): check its quotation marks.") from error
    if len(table) > MOST_ROWS + 1:
        raise DataError(f"The manifest {where} has more than {MOST_ROWS:,} rows: split it into several data sets.")
    header = table[0] if table else []
    columns = find_columns(header, where, required) | find_further(header)
    width = len(header)
    for number, cells in enumerate(table[1:], start=2):
        if cells and len(cells) != width:
            raise DataError(
                f"Row {number} of {where} has {len(cells)} cells, but the header has {width}: "
                "put quotation marks round cells that contain the separator."
            )
    cell = {name: [cells[index] if cells else "" for cells in table[1:]] for name, index in columns.items()}
    filled = [bool(cells) and any(map(str.strip, cells)) for cells in table[1:]]
    return _make_rows(cell, filled, first=2)


def _from_parquet(content: bytes, where: str, required: Sequence[str]) -> list[Row]:
    try:
        answers = _call("cells", content, where, required=list(required))
    except OSError as error:
        raise DataError(f"The manifest {where} cannot be read as Parquet: {error.strerror}.") from error
    cells: dict[str, list[str | None]] = {}
    for answer, _ in answers:
        for name, texts in answer["value"].items():
            cells.setdefault(name, []).extend(texts)
    return _make_rows(cells, [True] * len(cells["path"]), first=1)


def _call(operation: str, content: bytes, where: str, **more: list[str]) -> list[tuple[dict[str, Any], bytes]]:
    return PROCESS.call({"do": operation, "source": -1, "name": where} | more, lambda name: ReadRanges(content))


def find_columns(names: Sequence[str], where: str, required: Sequence[str]) -> dict[str, int]:
    """Where each column that we know is found."""
    known = [name.strip().lower() for name in names]
    missing = [name for name in required if name not in known]
    if missing:
        listed = ", ".join(written(name.strip()) for name in names) or "none"
        may = [name for name in REQUIRED + OPTIONAL if name not in required]
        raise DataError(
            f"The manifest {where} has no column {' and no column '.join(missing)} (found: {listed}): "
            f"its first row must name {' and '.join(required)}, and may name {' and '.join(may)}."
        )
    twice = [name for name in REQUIRED + OPTIONAL if known.count(name) > 1]
    if twice:
        raise DataError(f"The manifest {where} has the column {twice[0]} twice: rename or delete one of them.")
    return {name: known.index(name) for name in REQUIRED + OPTIONAL if name in known}


def find_further(names: Sequence[str]) -> dict[str, int]:
    """Where each further column is found, by its name; those whose name is empty or given twice are left out."""
    stripped = [name.strip() for name in names]
    known = [name.lower() for name in stripped]
    ours = ("", *REQUIRED, *OPTIONAL, NOTE)
    return {
        name: place
        for place, name in enumerate(stripped)
        if name.lower() not in ours and known.count(name.lower()) == 1
    }


def _make_rows(cells: Mapping[str, Sequence[str | None]], filled: Sequence[bool], *, first: int) -> list[Row]:
    """The rows that are not empty; a cell that is None has no text that can be read."""
    faults = {
        place: f"its {written(name)} cannot be read as text"
        for name, texts in cells.items()
        for place, text in enumerate(texts)
        if text is None
    }
    cell = {name: [text or "" for text in texts] for name, texts in cells.items()}
    cleaned = {name: list(map(clean_text, texts)) for name, texts in cell.items() if name != "path"}
    empty = [""] * len(filled)
    columns = [cleaned.get(name, empty) for name in ("label", *OPTIONAL)]
    further = {name: texts for name, texts in cleaned.items() if name not in REQUIRED + OPTIONAL}
    return [
        Row(
            number,
            path,
            label,
            split,
            group,
            {name: texts[number - first] for name, texts in further.items()},
            faults.get(number - first, ""),
        )
        for number, (keep, path, label, split, group) in enumerate(
            zip(filled, cell["path"], *columns, strict=True), start=first
        )
        if keep
    ]
