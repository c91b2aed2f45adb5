"""Opening Parquet that a user gives, within limits: a few kilobytes can promise a million rows or gigabytes of text.

This runs in the process of `parquet_child.py`, since pyarrow ends its process on some damaged files, and since metadata
may promise less than a file holds. Texts are read as bytes, which `cells.py` decodes.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vitrail.core.errors import DataError
from vitrail.data.sources.local import MAX_FILE_BYTES
from vitrail.data.sources.ranges import Ranges, as_file

MOST_ROWS = 10_000_000
# A million numbered paths fit in 60 kB at best, which is 17 rows a byte. More are the same row many times.
PLAIN_ROWS, MOST_ROWS_A_BYTE = 100_000, 50
MOST_TEXT_BYTES = 1 << 30  # of all texts that are read
MOST_CELL_BYTES = 131_072  # of one text; Python's reader of CSV has the same limit
BATCH_ROWS = 1024
BUFFER_BYTES = 1 << 20  # else pyarrow reads a whole column of a row group at once, which may be the whole file

# What reading a damaged file raises: names of columns may not be UTF-8 either.
DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError)


def open_parquet(file: Ranges, where: str) -> pq.ParquetFile:
    """Open a file and check what its metadata promise; texts are read with each value stored once.

    Raises:
        DataError: it has too many rows.
        ArrowException, OSError, UnicodeDecodeError: it is damaged.
    """
    source = as_file(file, most=MAX_FILE_BYTES)
    metadata = pq.read_metadata(source)
    rows = metadata.num_rows
    if rows > MOST_ROWS:
        raise DataError(f"{where} has {rows:,} rows, over the limit of {MOST_ROWS:,}: split it into several data sets.")
    if rows > PLAIN_ROWS and rows > MOST_ROWS_A_BYTE * file.size:
        raise DataError(
            f"{where} is refused: its {file.size:,} bytes promise {rows:,} rows, which can only be the same rows many "
            "times."
        )
    source.seek(0)
    texts = [
        column.path
        for column in map(metadata.schema.column, range(metadata.num_columns))
        if column.logical_type.type == "STRING" and column.max_repetition_level == 0 and "." not in column.path
    ]
    return pq.ParquetFile(source, metadata=metadata, buffer_size=BUFFER_BYTES, read_dictionary=texts)


def read_batches(file: pq.ParquetFile, columns: Sequence[str], where: str) -> Iterator[pa.RecordBatch]:
    """The rows of some columns, whose texts are bytes; their offsets have been checked, and they are in one piece each.

    Raises:
        DataError: a text is too long, or all of them are.
        ArrowInvalid: it is damaged, as any other error of DAMAGED says too.
    """
    _require_little_text(_count_unpacked_bytes(file.metadata, columns), where)
    text_bytes, left = 0, file.metadata.num_rows
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns), use_threads=False):
        batch = pa.record_batch([_as_bytes(column) for column in batch.columns], names=batch.schema.names)
        batch.validate(full=True)
        left -= len(batch)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for texts in _texts_in(column):
                length_N = _lengths(texts)
                if (pc.max(length_N).as_py() or 0) > MOST_CELL_BYTES:
                    raise DataError(
                        f"{where} has a text of more than {MOST_CELL_BYTES:,} bytes in its column {name}: shorten it."
                    )
                text_bytes += pc.sum(length_N).as_py() or 0
        _require_little_text(text_bytes, where)
        yield pa.record_batch([_decode(column) for column in batch.columns], names=batch.schema.names)
    if left:
        raise pa.ArrowInvalid(f"{abs(left):,} rows fewer or more than its metadata say")


def _require_little_text(text_bytes: int, where: str) -> None:
    if text_bytes > MOST_TEXT_BYTES:
        raise DataError(
            f"{where} holds {text_bytes / 1e9:,.1f} GB of text, over the limit of {MOST_TEXT_BYTES / 1e9:.1f}: leave "
            "out columns, or split it into several data sets."
        )


def _count_unpacked_bytes(metadata: pq.FileMetaData, columns: Sequence[str]) -> int:
    """The bytes of some columns once unpacked, by the metadata."""
    total = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        chunks = (row_group.column(number) for number in range(row_group.num_columns))
        total += sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if any(chunk.path_in_schema == name or chunk.path_in_schema.startswith(f"{name}.") for name in columns)
        )
    return total


def _texts_in(column: pa.Array) -> Iterator[pa.Array]:
    """The arrays of texts in a column, which may lie in structs and lists."""
    kind = column.type
    if pa.types.is_struct(kind):
        for inner in column.flatten():
            yield from _texts_in(inner)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _texts_in(column.flatten())
    elif _is_text(kind) or (pa.types.is_dictionary(kind) and _is_text(kind.value_type)):
        yield column


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _lengths(texts: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(texts.type):
        return pc.binary_length(texts.dictionary).take(texts.indices)
    return pc.binary_length(texts)


def _as_bytes(column: pa.Array) -> pa.Array:
    """A column of texts as bytes, so that one that is not UTF-8 does not condemn the file; the caller decodes them."""
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(column.indices, _as_bytes(column.dictionary))
    if pa.types.is_string(column.type):
        return column.view(pa.binary())
    return column.view(pa.large_binary()) if pa.types.is_large_string(column.type) else column


def _decode(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
