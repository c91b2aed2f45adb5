"""Which other files an ONNX file reads its weights from, found without a library for ONNX.

A tensor of an ONNX file may name a file, an offset and a length, and a runtime would read any file of the machine. Only
the messages that can hold a tensor are walked; the weights themselves are passed over by their length.

The numbers are those of onnx.proto3, and the encoding is that of protocol buffers: a varint holds number and kind of
the next field.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from vitrail.core.bounded import open_regular

# For each kind of message, the fields that hold a message of a kind that may lead to a tensor.
FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
KEY, VALUE, LOCATION = 1, 2, b"location"  # of an entry
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5  # kinds of fields
MOST_VARINT = 10  # bytes
DEEPEST = 64  # a graph in an attribute of a node of a graph ...


def list_external_files(path: Path) -> set[str]:
    """The places of tensors outside an ONNX file, as it states them.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a file of protocol buffers, or is nested too deeply.
    """
    with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return {place.decode() for place in _locations(content, 0, len(content), "model", 0)}


def _locations(content: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[bytes]:
    if depth > DEEPEST:
        raise ValueError("its graphs are nested too deeply")
    if message == "entry":
        strings = {number: content[first:last] for number, first, last in _fields(content, start, end)}
        if strings.get(KEY) == LOCATION:
            yield strings.get(VALUE, b"")
        return
    for number, first, last in _fields(content, start, end):
        if held := FIELDS[message].get(number):
            yield from _locations(content, first, last, held, depth + 1)


def _fields(content: mmap.mmap, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Each field of a message that has a length: its number, and where its bytes begin and end."""
    while place < end:
        tag, place = _varint(content, place, end)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            place = _varint(content, place, end)[1]
        elif kind == BYTES:
            length, place = _varint(content, place, end)
            if place + length > end:
                raise ValueError("a field is longer than what it is in")
            yield number, place, place + length
            place += length
        elif kind in (FIXED_64, FIXED_32):
            place += 8 if kind == FIXED_64 else 4
        else:
            raise ValueError(f"a field is of the unknown kind {kind}")
    if place > end:
        raise ValueError("a field is longer than what it is in")


def _varint(content: mmap.mmap, place: int, end: int) -> tuple[int, int]:
    """A number, and where the next begins."""
    number = 0
    for shift in range(MOST_VARINT):
        if place + shift >= end:
            break
        byte = content[place + shift]
        number |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return number, place + shift + 1
    raise ValueError("a number has no end")
