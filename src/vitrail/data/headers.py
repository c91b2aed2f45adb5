"""The size of a plain JPEG or PNG from its header, without Pillow.

Pillow reads a header in Python objects, which takes longer than reading and hashing a small file. This module reads
only segments and chunks that Pillow skips or cannot object to. Everything else, such as metadata with its own
structure, is left to Pillow, and so is every message about a faulty file.
"""

import struct
import zlib

Size = tuple[int, int]  # columns and rows

# JPEG: ITU-T T.81, table B.1. Frames are those that Pillow opens in one way: baseline, extended, progressive.
JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
JPEG_SCAN, JPEG_QUANTISATION = 0xDA, 0xDB
JPEG_PASSED_OVER = frozenset({0xC4, 0xDD, 0xFE})  # Huffman tables, the restart interval, a comment
JPEG_COMPONENTS = frozenset({1, 3, 4})

JPEG_APPLICATIONS = range(0xE0, 0xF0)
# What a segment begins with that Pillow looks into, and how long it must then be; None for a structure of its own.
JPEG_SIGNATURES: dict[int, tuple[bytes, int | None]] = {
    0xE0: (b"JFIF", 7),
    0xE1: (b"Exif\0\0", None),
    0xE2: (b"ICC_PROFILE\0", 14),
    0xED: (b"Photoshop 3.0\0", None),
    0xEE: (b"Adobe", 7),
}
_SEGMENT = struct.Struct(">BBH")

# PNG: the specification's third edition, 11.2.1. The combinations of bit depth and colour type.
PNG_MODES = frozenset(
    {(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2), (1, 3), (2, 3), (4, 3), (8, 3)}
    | {(8, 4), (16, 4), (8, 6), (16, 6)}
)
# Chunks before the pixels that hold nothing to object to, with their least length.
PNG_CHUNKS = {
    b"PLTE": 0,
    b"tRNS": 6,
    b"gAMA": 4,
    b"cHRM": 32,
    b"sRGB": 1,
    b"pHYs": 9,
    b"tEXt": 0,
    b"tIME": 0,
    b"bKGD": 0,
    b"hIST": 0,
    b"sBIT": 0,
}
PNG_HEADER_BYTES = 1 << 20  # texts are limited in Pillow, which then decides


def read_plain_size(kind: str, data: bytes) -> Size | None:
    """The size by the header of a still image, as stored; None if Pillow has to read it.

    Args:
        kind: the name of its format, as `formats.py` has it.
        data: the whole file, which begins with the format's signature.
    """
    read = {"JPEG": _read_jpeg, "PNG": _read_png}.get(kind)
    if read is None:
        return None
    try:
        return read(data)
    except (IndexError, struct.error):  # the file ends in its header
        return None


def _read_jpeg(data: bytes) -> Size | None:
    size, end = None, 2
    while True:
        begin, marker, length = _SEGMENT.unpack_from(data, end)
        start, end = end + 4, end + 2 + length
        if begin != 0xFF or end > len(data):
            return None
        if marker == JPEG_SCAN:
            return size if size and min(size) > 0 else None
        if marker in JPEG_FRAMES:
            if size is not None or not _is_plain_frame(data, start, end):
                return None
            height, width = struct.unpack_from(">HH", data, start + 1)
            size = width, height
        elif marker not in JPEG_PASSED_OVER and not _is_plain_segment(data, marker, start, end):
            return None


def _is_plain_frame(data: bytes, start: int, end: int) -> bool:
    """Whether a frame header has 8 bits a sample and whole entries for as many components as Pillow has a mode for."""
    return end - start >= 6 and (end - start) % 3 == 0 and data[start] == 8 and data[start + 5] in JPEG_COMPONENTS


def _is_plain_segment(data: bytes, marker: int, start: int, end: int) -> bool:
    """Whether a segment is one that Pillow reads without an objection."""
    if marker == JPEG_QUANTISATION:
        while start < end:  # tables of 64 values in one byte or in two
            start += 65 if data[start] < 16 else 129
        return start == end
    if marker not in JPEG_APPLICATIONS:
        return False
    signature, least = JPEG_SIGNATURES.get(marker, (b"", 0))
    return not data.startswith(signature, start, end) or (least is not None and end - start >= least)


def _read_png(data: bytes) -> Size | None:
    length, kind, width, height, depth, colour, _, filtering, _ = struct.unpack_from(">I4sIIBBBBB", data, 8)
    if length != 13 or kind != b"IHDR" or filtering or (depth, colour) not in PNG_MODES:
        return None
    if not _checksum_is_right(data, 8, 13):
        return None
    start = 33
    while start < PNG_HEADER_BYTES:
        length, kind = struct.unpack_from(">I4s", data, start)
        if kind == b"IDAT":
            return (width, height) if min(width, height) > 0 else None
        if kind not in PNG_CHUNKS or length < PNG_CHUNKS[kind] or not _checksum_is_right(data, start, length):
            return None
        start += 12 + length
    return None


def _checksum_is_right(data: bytes, start: int, length: int) -> bool:
    end = start + 8 + length
    stored: int = struct.unpack_from(">I", data, end)[0]
    return zlib.crc32(memoryview(data)[start + 4 : end]) == stored
