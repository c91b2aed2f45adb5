"""Parquet files that hold the images themselves, as Hugging Face's `datasets` writes them.

This runs in the process of `parquet_child.py`.

The image column is a struct with `bytes` (and `path`), or bytes; the label column is a number that the file's own
metadata names (ClassLabel), a number or a text. `split` and `group` are read where they are there; else files called
train-..., validation-..., test-... give the split. Further columns of texts or whole numbers are read as those of a
manifest are.

A row cannot be read alone: what is read is a few rows, and the last of these are kept, so reading in order costs one
pass over each file. Memory is bounded by KEPT_BYTES, and by a batch and a buffer of each of KEPT_FILES files.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vitrail.core.bounded import parse_json
from vitrail.core.errors import DataError
from vitrail.core.reasons import say_reason
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.sources.cells import cell_texts, is_category
from vitrail.data.sources.local import MAX_FILE_BYTES, clean_text, written
from vitrail.data.sources.parquet_limits import DAMAGED, open_parquet, read_batches
from vitrail.data.sources.ranges import Ranges, as_file
from vitrail.data.sources.split_words import SPLIT_WORDS
from vitrail.data.sources.table import find_further

LABEL_NAMES = ("label", "labels", "class", "cls", "target")
BATCH_ROWS = 16
KEPT_BYTES = 256 << 20
KEPT_FILES = 32  # read on from where they were left; any other, from its beginning
KEPT_BATCHES = 4  # at least, so that threads a few rows apart never make each other read anew


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns matter. `names` are those of the classes, where the label is a number that the file names."""

    image: str
    label: str
    names: tuple[str, ...] | None
    split: str | None
    group: str | None
    path: str | None
    further: tuple[str, ...]


class ParquetFiles:
    """The files of one data set, used by one thread."""

    def __init__(self, open_file: Callable[[str], Ranges]) -> None:
        """Nothing is read yet; `open_file` opens a file by its name."""
        self._open_file = open_file
        self._kept: OrderedDict[tuple[str, int], pa.Array] = OrderedDict()
        self._cursors: OrderedDict[str, tuple[int, Iterator[pa.Array]]] = OrderedDict()

    def list_file(self, name: str, split: SplitName | None) -> Iterator[ListedFile | SetAside]:
        """Its rows, set aside where they have no label; `split` is that of all of them, unless a column says it.

        Raises:
            DataError: the file is damaged, is over a limit, or has not the right columns.
        """
        try:
            yield from self._list_file(name, split)
        except DAMAGED as error:
            raise DataError(f"{name} cannot be read as Parquet: {say_reason(error)}.") from error

    def _list_file(self, name: str, split: SplitName | None) -> Iterator[ListedFile | SetAside]:
        file, number = self._opened(name), 0
        columns = columns_of(file.schema_arrow, name)
        read = [column for column in (columns.label, columns.split, columns.group) if column] + list(columns.further)
        wanted = [*read, columns.path] if columns.path else read
        for batch in read_batches(file, wanted, name):
            texts = {column: cell_texts(batch.column(column), column, name) for column in read}
            structs = batch.column(columns.image).to_pylist() if columns.path else [None] * batch.num_rows
            for row, struct in enumerate(structs):
                cells = {column: values[row] for column, values in texts.items()}
                inside = (struct or {}).get("path")
                base = PurePosixPath(str(inside).replace("\\", "/")).name if inside else ""
                path = f"{written(name)}/{number:08d}" + (f"/{written(base)}" if base else "")
                yield _list_row(path, cells, columns, split)
                number += 1

    def read(self, name: str, row: int) -> bytes:
        """The image of one row; raises OSError if there is none or the file cannot be read."""
        batch, place = divmod(row, BATCH_ROWS)
        images = self._kept.get((name, batch))
        if images is None:
            images = self._advance(name, batch)
        content = images[place].as_py()
        if not content:
            raise OSError(0, "its row holds no bytes")
        if len(content) > MAX_FILE_BYTES:
            raise OSError(0, f"it is larger than any image ({len(content) / 1e9:.1f} GB)")
        return bytes(content)

    def _advance(self, name: str, wanted: int) -> pa.Array:
        """Read on to a batch, from the beginning where it lies behind, keeping the last ones read."""
        following, batches = self._cursors.pop(name, (0, None))
        if batches is None or following > wanted:
            following, batches = 0, self._from_start(name)
        try:
            while True:
                images = next(batches)
                self._kept[name, following] = images
                self._forget()
                following += 1
                if following > wanted:
                    self._cursors[name] = following, batches
                    if len(self._cursors) > KEPT_FILES:
                        self._cursors.popitem(last=False)
                    return images
        except (*DAMAGED, StopIteration) as error:
            raise OSError(0, "the Parquet file is damaged here") from error

    def _from_start(self, name: str) -> Iterator[pa.Array]:
        file = self._opened(name)
        column = columns_of(file.schema_arrow, name).image
        nested = pa.types.is_struct(file.schema_arrow.field(column).type)
        part = f"{column}.bytes" if nested else column
        left = file.metadata.num_rows
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=[part], use_threads=False):
            # A damaged column may hold fewer rows than the file says, and every later image would get another label.
            if len(batch) != min(BATCH_ROWS, left):
                raise OSError(0, "the Parquet file is damaged here")
            left -= len(batch)
            yield batch.column(0).field(0) if nested else batch.column(0)

    def _forget(self) -> None:
        while len(self._kept) > KEPT_BATCHES and sum(images.nbytes for images in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)

    def _opened(self, name: str) -> pq.ParquetFile:
        """A new reader each time: one may be in the middle of its file when another begins."""
        ranges = self._open_file(name)
        return open_parquet(ranges, name)


def holds_images(file: Ranges) -> bool:
    """Whether a Parquet file has a column of images, rather than being a manifest of paths, or nothing that is read."""
    try:
        return _image_column(pq.read_schema(as_file(file, most=MAX_FILE_BYTES))) is not None
    except DAMAGED:
        return False


def columns_of(schema: pa.Schema, where: str) -> Columns:
    """Which columns of a file hold what; `where` is the file's name in errors.

    Raises:
        DataError: there is no column of images, or not exactly one possible label column.
    """
    image = _image_column(schema)
    if image is None:
        raise DataError(
            f"{where} has no column of images: it needs a column whose cells hold the bytes of one file each."
        )
    named = _class_names(schema)
    known = [name for name in schema.names if name.lower() in LABEL_NAMES] or list(named)
    if len(known) != 1:
        candidates = ", ".join(map(written, known or schema.names))
        what = "more than one column that may be the label" if known else "no column that may be the label"
        raise DataError(f"{where} has {what} ({candidates}): name exactly one of them label.")
    by_name = {name.lower(): name for name in schema.names}
    kind = schema.field(image).type
    return Columns(
        image=image,
        label=known[0],
        names=named.get(known[0]) if pa.types.is_integer(schema.field(known[0]).type) else None,
        split=by_name.get("split"),
        group=by_name.get("group"),
        path=f"{image}.path" if pa.types.is_struct(kind) and kind.get_field_index("path") >= 0 else None,
        further=tuple(
            name
            for name in find_further(schema.names)
            if name in schema.names and name not in (image, known[0]) and is_category(schema.field(name).type)
        ),
    )


def _image_column(schema: pa.Schema) -> str | None:
    def holds_bytes(kind: pa.DataType) -> bool:
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    for field in schema:
        if pa.types.is_struct(field.type):
            index = field.type.get_field_index("bytes")
            if index >= 0 and holds_bytes(field.type.field(index).type):
                return str(field.name)
    texts = (*LABEL_NAMES, "split", "group")  # as converters write them
    binary = [field.name for field in schema if holds_bytes(field.type) and field.name.lower() not in texts]
    return str(binary[0]) if len(binary) == 1 else None


def _class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """The names of classes by column, from what Hugging Face's `datasets` writes into a file."""
    try:
        features: Any = parse_json((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: tuple(str(name) for name in feature["names"])
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and column in schema.names
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _list_row(
    path: str, texts: Mapping[str, str | None], columns: Columns, split: SplitName | None
) -> ListedFile | SetAside:
    cells = {column: clean_text(text) for column, text in texts.items() if text is not None}
    if len(cells) < len(texts):
        return SetAside(path=path, reason="its row has a text that is not UTF-8, or a date outside every calendar")
    label = cells[columns.label]
    if columns.names is not None and label:
        # -1 is how a test split without labels is published.
        label = clean_text(columns.names[int(label)]) if 0 <= int(label) < len(columns.names) else ""
    if not label:
        return SetAside(path=path, reason="its row has no label")
    if columns.split is not None:
        word = cells[columns.split].lower()
        if word not in SPLIT_WORDS:
            return SetAside(path=path, reason=f"its row names no split that is known ({word or 'empty'})")
        split = SPLIT_WORDS[word]
    return ListedFile(
        path=path,
        label=label,
        split=split,
        group=cells[columns.group] or None if columns.group else None,
        further={name: cells[name] for name in columns.further},
    )
