"""Cells of Arrow columns as texts. A label, a split or a group is one value: a list of them is none."""

import pyarrow as pa
import pyarrow.compute as pc

from vitrail.core.errors import DataError
from vitrail.data.sources.local import written

UNREADABLE = (pa.ArrowException, UnicodeDecodeError, ValueError, OverflowError)


def is_category(kind: pa.DataType) -> bool:
    """Whether values of an Arrow type can be categories: texts, whole numbers, truth values, days."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    tests = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_integer,
        pa.types.is_boolean,
        pa.types.is_date,
    )
    return any(test(inner) for test in tests)


def cell_texts(column: pa.Array | pa.ChunkedArray, name: str, where: str) -> list[str | None]:
    """The cells of a column as texts, "" where one is missing, as a number that is NaN is.

    None stands for bytes that are not UTF-8 and for days outside every calendar. `name` is that of the column, `where`
    that of its file, in errors.

    Raises:
        DataError: a cell may hold more than one value.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_nested(kind):
        raise DataError(
            f"The column {written(name)} of {where} has the type {kind}, so a row may have several values. An image "
            f"has one label, one split and one group: write one value a row, or rename the column if it is no {name}."
        )
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
    try:
        if pa.types.is_temporal(kind):
            column.to_pylist()  # raises for a day outside every calendar, which Arrow would write as one
        return [text or "" for text in column.cast(pa.string()).to_pylist()]
    except UNREADABLE:
        return list(map(_text, column))


def _text(cell: pa.Scalar) -> str | None:
    try:
        cell.as_py()
        return cell.cast(pa.string()).as_py() or ""
    except UNREADABLE:
        return None
