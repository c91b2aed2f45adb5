"""The examples: one row for every distinct content, with everything known of it before any network runs."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from vitrail.core.errors import DataError
from vitrail.core.hashing import ROWS_AT_ONCE, add_array, sha256_bytes

SplitName = Literal["train", "val", "test", "calibration"]
AsideKind = Literal["unreadable", "two labels", "crosses splits", "other"]

COLUMN_PREFIX = "column:"  # of the further columns of a manifest in the table, as in "column:camera"

EXAMPLE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # sha256 of the bytes
        pa.field("paths", pa.list_(pa.string()), nullable=False),  # sorted; all places that hold these bytes
        pa.field("label", pa.int32()),  # index into classes; null if sealed
        pa.field("group", pa.string()),  # examples of one group never cross a split
        pa.field("given_split", pa.string()),  # a SplitName, if the source gives one
        pa.field("jpeg_side", pa.int32()),  # pixels of the shorter side of a JPEG, by its header; null for others
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedFile:
    """One file as a source lists it, before it is opened; `further` has its texts in further columns of a manifest."""

    path: str
    label: str
    split: SplitName | None = None
    group: str | None = None
    further: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """A file that is not used, and why.

    `kind` is "unreadable" if it cannot be decoded as an image; "two labels" if the same bytes have another label
    elsewhere; "crosses splits" if its group is in a better guarded given split; "other" if it has no label.
    """

    path: str
    reason: str
    kind: AsideKind = "other"


@dataclass(frozen=True, slots=True)
class Caution:
    """What a person should know of the names that a source lists, in one sentence."""

    text: str


Listed = ListedFile | SetAside | Caution


class Reader(Protocol):
    """What gives the bytes of files that are listed already."""

    @property
    def name(self) -> str:
        """A short name for the data set, used for the run folder."""

    def read(self, path: str) -> bytes:
        """The bytes of one file; raises OSError if it cannot be read."""


class Source(Reader, Protocol):
    """Where files come from. One implementation a file in `data/sources`."""

    def list_files(self) -> Iterator[Listed]:
        """Every file with its label, or the reason why it has none; DataError if the files cannot be listed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """The examples of one benchmark.

    `table` has EXAMPLE_SCHEMA and is sorted by id, so that the listing order of files changes nothing. Further columns
    of a manifest follow, each as texts under COLUMN_PREFIX and its name; see `data/columns.py`. `fingerprint` covers
    ids, labels, groups, given splits and further columns that are used, not paths: a moved folder keeps it. Facts that
    follow from the bytes, such as a JPEG's size, are covered by the id. `classes` names every label that was listed, so
    a class whose images were all set aside is still listed. `duplicates` counts the consequences of equal bytes; its
    keys are those of `data.duplicates.Duplicates`. `slices` are the further columns by whose values accuracy is shown.
    """

    name: str
    table: pa.Table
    classes: tuple[str, ...]
    set_aside: tuple[SetAside, ...]
    warnings: tuple[str, ...]
    fingerprint: str
    source: Source
    duplicates: Mapping[str, int] = field(default_factory=dict)
    slices: tuple[str, ...] = ()

    def by_id(self, column: str) -> dict[str, Any]:
        """The value of every example in a column of the table, by id."""
        return dict(zip(self.table["id"].to_pylist(), self.table[column].to_pylist(), strict=True))

    def values(self, column: str, ids: Sequence[str]) -> pa.ChunkedArray:
        """The values of these examples in a column of the table, in their order; without an object for each."""
        row_N = pc.index_in(pa.array(ids, pa.string()), value_set=whole(self.table["id"]))
        return self.table[column].take(row_N)

    def further(self, column: str, ids: Sequence[str]) -> list[str | None]:
        """The values of these examples in a further column, in their order; a missing value is None."""
        values: list[str | None] = self.values(COLUMN_PREFIX + column, ids).to_pylist()
        return values

    @property
    def test_is_given(self) -> bool:
        """Whether the source says which images are the test; else they are drawn from the same images as train."""
        return "test" in self.table["given_split"].unique().to_pylist()

    def digest_ids(self) -> str:
        """A digest of the examples alone: other labels, groups and splits do not change it."""
        digest = hashlib.sha256()
        for ids in _blocks(self.table["id"]):
            digest.update("".join(ids).encode())
        return digest.hexdigest()

    def without_labels(self) -> "Dataset":
        """The same examples without a label, for what must not see any."""
        place = self.table.schema.get_field_index("label")
        field = self.table.schema.field(place)
        return replace(self, table=self.table.set_column(place, field, pa.nulls(self.table.num_rows, field.type)))

    def groups(self) -> dict[str, str]:
        """The group of each example that has one, by id."""
        return {example: group for example, group in self.by_id("group").items() if group is not None}


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, not copied if it is in one already."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def fingerprint_of(table: pa.Table, classes: Sequence[str]) -> str:
    """`core.hashing.fingerprint` of the classes and of ids, labels, groups, given splits and further columns.

    It is computed without holding the columns as objects. `table` is sorted by id, and its labels are not sealed.
    """
    digest = hashlib.sha256(b'{"classes":' + json.dumps(list(classes), separators=(",", ":")).encode())
    further = sorted(name for name in table.column_names if name.startswith(COLUMN_PREFIX))
    for name in (*further, "given_split", "group", "id", "label"):
        digest.update(f",{json.dumps(name)}:".encode())
        add_array(digest, _blocks(table.column(name)))
    digest.update(b"}")
    return digest.hexdigest()


def _blocks(column: pa.ChunkedArray) -> Iterator[list[Any]]:
    for start in range(0, len(column), ROWS_AT_ONCE):
        yield column.slice(start, ROWS_AT_ONCE).to_pylist()


def read_example(source: Reader, path: str, example_id: str) -> bytes:
    """The bytes of an example, by one of its paths: those that its id is the digest of, and no others.

    Raises:
        OSError: they cannot be read.
        DataError: the file has changed since the data set was read.
    """
    data = source.read(path)
    if sha256_bytes(data) != example_id:
        raise DataError(
            f"{path} changed while {source.name} was being read: leave its images as they are and run the same command "
            "again."
        )
    return data
