"""Predictions as a table: CSV, JSON lines, Parquet or an Excel sheet, with the same columns and a row for each image.

`label` is empty for a refused image, so that a script cannot use it by mistake; `top_1` has the label that it would
have got. The first column is `file`, not `path`: a table with the columns path and label
is a manifest, and a benchmark must not take predictions for labels. Rows are written as they come, so memory does not
grow with their number.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vitrail.core.errors import DataError, UsageError
from vitrail.core.whole_files import write_whole
from vitrail.delivery.prediction import TOP, Prediction

Row = dict[str, Any]

TEXT, NUMBER = pa.string(), pa.float64()
COLUMNS = pa.schema(
    [
        pa.field("file", TEXT, nullable=False),
        ("label", TEXT),
        ("probability", NUMBER),
        ("set", pa.list_(TEXT)),
        pa.field("refused", pa.bool_(), nullable=False),
        ("why", TEXT),
        *(field for place in range(1, TOP + 1) for field in ((f"top_{place}", TEXT), (f"probability_{place}", NUMBER))),
        ("true_label", TEXT),
        ("run_split", TEXT),
        ("id", TEXT),
    ]
)
ROWS_AT_ONCE = 4096  # of a row group of Parquet

EXCEL_ROWS, EXCEL_LETTERS = 1_048_576, 32_767  # the most of a sheet, and of a cell
NOT_IN_EXCEL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML cannot hold
EXCEL_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")  # which Excel would read as the character of that number
WIDTHS = {"file": 50, "label": 20, "set": 30, "why": 40, "top_1": 20, "true_label": 20}  # letters


def require_format(path: Path) -> None:
    """Check that predictions can be written in the format that a file's ending names.

    Raises:
        UsageError: no format has this ending, or the library for it is not installed.
    """
    if path.suffix.lower() not in WRITERS:
        raise UsageError(f"--out {path} does not say which format: end it with .csv, .xlsx, .parquet or .jsonl.")
    if path.suffix.lower() == ".xlsx" and find_spec("openpyxl") is None:
        raise UsageError(f"--out {path} needs openpyxl, which is not installed: pip install 'vitrail[excel]', or .csv.")


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write a table whole or not at all; its ending, which `require_format` has checked, names the format.

    Raises:
        RunError: the disk is full, or the folder cannot be written.
        DataError: there are more predictions than a sheet of Excel has rows.
    """
    write_whole(path, partial(WRITERS[path.suffix.lower()], map(_make_row, predictions)))


def _make_row(prediction: Prediction) -> Row:
    answered = prediction.reason is None
    row: Row = {
        "file": prediction.path,
        "label": prediction.label if answered else None,
        "probability": prediction.probability if answered else None,
        "set": list(prediction.set),
        "refused": not answered,
        "why": prediction.reason,
    }
    for place in range(TOP):
        known = place < len(prediction.top)
        row[f"top_{place + 1}"], row[f"probability_{place + 1}"] = prediction.top[place] if known else (None, None)
    facts = {"true_label": prediction.true_label, "run_split": prediction.run_split, "id": prediction.id}
    return row | facts


def _write_csv(rows: Iterator[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS.names)
        writer.writerows([_as_csv(value) for value in row.values()] for row in rows)


def _as_csv(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _as_json(value) if isinstance(value, list) else value


def _as_json(value: list[str]) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""


def _write_json_lines(rows: Iterator[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def _write_parquet(rows: Iterator[Row], path: Path) -> None:
    with path.open("wb") as file, pq.ParquetWriter(file, COLUMNS) as writer:
        while block := list(islice(rows, ROWS_AT_ONCE)):
            writer.write_batch(pa.RecordBatch.from_pylist(block, COLUMNS))


def _write_excel(rows: Iterator[Row], path: Path) -> None:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Predictions")
    sheet.freeze_panes = "A2"
    for place, name in enumerate(COLUMNS.names):
        sheet.column_dimensions[chr(ord("A") + place)].width = WIDTHS.get(name, 14)

    def make_cell(value: object) -> object:
        if isinstance(value, str):
            cell = WriteOnlyCell(sheet, _as_excel(value))
            cell.data_type = "s"  # openpyxl takes a text such as "=1+1" or "#N/A" for a formula or an error
        else:
            cell = WriteOnlyCell(sheet, value)
            cell.number_format = "0.0%" if isinstance(value, float) else "General"
        return cell

    try:
        sheet.append(COLUMNS.names)
        for number, row in enumerate(rows, start=2):
            if number > EXCEL_ROWS:
                raise DataError(f"A sheet has {EXCEL_ROWS:,} rows, too few: give --out a name that ends in .csv.")
            sheet.append([make_cell(_as_json(value) if isinstance(value, list) else value) for value in row.values()])
    finally:
        sheet.close()  # otherwise openpyxl complains on stderr when an unfinished sheet is collected
    book.save(path)


def _as_excel(text: str) -> str:
    r"""The text as a cell can hold it: control characters as \x1b, and cut where it is too long, which it then says."""
    text = EXCEL_ESCAPE.sub("_x005F_", NOT_IN_EXCEL.sub(lambda match: f"\\x{ord(match[0]):02x}", text))
    if len(text) <= EXCEL_LETTERS:
        return text
    cut = f" ... ({len(text):,} letters, cut)"
    return text[: EXCEL_LETTERS - len(cut)] + cut


WRITERS: dict[str, Callable[[Iterator[Row], Path], None]] = {
    ".csv": _write_csv,
    ".xlsx": _write_excel,
    ".parquet": _write_parquet,
    ".jsonl": _write_json_lines,
}
