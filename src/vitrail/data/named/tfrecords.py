"""TFRecord files, and the `tf.train.Example` in each record, as TensorFlow Datasets stores what it prepared.

A record is the length of its content (8 bytes, little-endian), 4 bytes of checksum, the content, and 4 bytes of
checksum (tensorflow/core/lib/io/record_writer.h). The checksums are CRC-32C, which Python's libraries cannot compute,
and are passed over: a length that leads nowhere and a damaged Example are both noticed.

An Example is a map from names to lists of bytes, floats or integers (tensorflow/core/example/example.proto and
feature.proto), as Protocol Buffers encode it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from vitrail.core.errors import DataError
from vitrail.data.named.file_tree import FileTree

HEADER, CHECKSUM_BYTES = struct.Struct("<Q4x"), 4
WINDOW_BYTES = 16 << 10  # small records are found several at a time
VARINT, FIXED_64, DELIMITED, FIXED_32 = 0, 1, 2, 5  # wire types of Protocol Buffers
BYTES_LIST, FLOAT_LIST, INT64_LIST = 1, 2, 3  # fields of a Feature
MOST_VARINT_BITS = 64

Example = dict[str, list[Any]]  # bytes, floats or integers, by name


@dataclass(frozen=True, slots=True)
class Record:
    """The place of a record's content in a file."""

    file: str
    start: int
    length: int

    def read(self, tree: FileTree) -> Example:
        """The Example in it; raises OSError."""
        content = tree.read_part(self.file, self.start, self.length)
        try:
            if len(content) < self.length:
                raise ValueError("it is cut off")
            return parse_example(content)
        except ValueError as error:
            raise OSError(0, f"the record at byte {self.start:,} of {self.file} is damaged: {error}") from error


def find_records(tree: FileTree, file: str) -> list[Record]:
    """The records of a file, in their order.

    Raises:
        DataError: the file is cut off or damaged.
    """
    records: list[Record] = []
    at, window, window_start = 0, b"", 0
    try:
        while True:
            if at + HEADER.size > window_start + len(window):
                window, window_start = tree.read_part(file, at, WINDOW_BYTES), at
            header = window[at - window_start :][: HEADER.size]
            if not header:
                break
            (length,) = HEADER.unpack(header)
            records.append(Record(file, at + HEADER.size, length))
            at += HEADER.size + length + CHECKSUM_BYTES
        _require_end(tree, file, at)
    except (struct.error, OverflowError, OSError, ValueError) as error:
        raise DataError(
            f"{file} of {tree.where} cannot be read as TFRecord ({error}): prepare or fetch it again."
        ) from error
    return records


def _require_end(tree: FileTree, file: str, end: int) -> None:
    """Check that a file is as long as its last record says; raises ValueError, or OSError."""
    if end and not tree.read_part(file, end - 1, 1):
        raise ValueError("its last record is cut off")


def parse_example(content: bytes) -> Example:
    """The features of a `tf.train.Example`, by name.

    Raises:
        ValueError: it is damaged.
    """
    try:
        example: Example = {}
        for _, features in _fields(memoryview(content)):
            for _, entry in _fields(features):
                pair = dict(_fields(entry))
                example[bytes(pair[1]).decode()] = _read_values(pair.get(2, memoryview(b"")))
        return example
    except (IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError("it is not an Example") from error


def _read_values(feature: memoryview) -> list[Any]:
    """The values of a Feature; lists of numbers are packed or not."""
    values: list[Any] = []
    for kind, listed in _fields(feature):
        for _, value in _fields(listed):
            if kind == BYTES_LIST:
                values.append(bytes(value))
            elif kind == FLOAT_LIST:
                values += np.frombuffer(value, "<f4").tolist()
            elif kind == INT64_LIST:
                values += [_signed(number) for number in ([value] if isinstance(value, int) else _varints(value))]
    return values


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """The number and the value of each field: an integer, or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == DELIMITED:
            length, at = _varint(message, at)
        elif wire in (FIXED_64, FIXED_32):
            length = 8 if wire == FIXED_64 else 4
        else:
            raise ValueError(f"it has a field of wire type {wire}")
        if at + length > len(message):
            raise ValueError("a field is cut off")
        yield number, message[at : at + length]
        at += length


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, the lowest first, and where the next field begins."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > MOST_VARINT_BITS:
            raise ValueError("an integer has no end")


def _signed(number: int) -> int:
    """A negative integer is stored as its complement to 2**64."""
    return number - (1 << 64) if number >> 63 else number
