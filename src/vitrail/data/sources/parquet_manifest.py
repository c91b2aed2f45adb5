"""Manifests in Parquet, as `table.py` describes them. Runs in the process of `parquet_child.py`."""

from collections.abc import Iterator, Sequence

import pyarrow.parquet as pq

from vitrail.core.errors import DataError
from vitrail.core.reasons import say_reason
from vitrail.data.sources.cells import cell_texts, is_category
from vitrail.data.sources.local import MAX_FILE_BYTES
from vitrail.data.sources.parquet_limits import DAMAGED, open_parquet, read_batches
from vitrail.data.sources.ranges import Ranges, as_file
from vitrail.data.sources.table import find_columns, find_further


def read_column_names(file: Ranges) -> list[str]:
    """The names of a table's columns; none if the file is damaged."""
    try:
        return list(pq.read_schema(as_file(file, most=MAX_FILE_BYTES)).names)
    except DAMAGED:
        return []


def read_cells(file: Ranges, where: str, required: Sequence[str]) -> Iterator[dict[str, list[str | None]]]:
    """The texts of some rows by column, None for one that cannot be read as text; all columns are in each dictionary.

    Raises:
        DataError: the file is damaged, is over a limit, or lacks a column of `required`.
    """
    try:
        parquet = open_parquet(file, where)
        schema = parquet.schema_arrow
        texts = find_further([name if is_category(schema.field(name).type) else "" for name in schema.names])
        columns = find_columns(schema.names, where, required) | texts
        yield {name: [] for name in columns}
        for batch in read_batches(parquet, [schema.names[index] for index in columns.values()], where):
            yield {name: cell_texts(batch.column(schema.names[index]), name, where) for name, index in columns.items()}
    except DAMAGED as error:
        raise DataError(f"The manifest {where} cannot be read as Parquet: {say_reason(error)}.") from error
