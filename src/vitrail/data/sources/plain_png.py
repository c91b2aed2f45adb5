"""Pixels as a PNG whose bytes depend on the pixels alone, for images that are published as arrays.

It is stored uncompressed, since two versions of zlib may compress the same pixels differently, and the bytes are an
example's identity.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

GREY, RGB = 0, 2  # colour types, PNG specification, 11.2.1
MOST_BYTES = 0xFFFF  # of one block of DEFLATE that is not compressed


def plain_png(pixels: NDArray[np.uint8]) -> bytes:
    """An 8-bit PNG, uncompressed, the same bytes on every machine.

    `pixels` is H x W for grey or H x W x 3 for RGB.
    """
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # filter 0 before each row
    blocks = [_block(rows, start) for start in range(0, len(rows), MOST_BYTES)]
    stream = b"".join([b"\x78\x01", *blocks, struct.pack(">I", zlib.adler32(rows))])
    header = struct.pack(">IIBBBBB", width, height, 8, GREY if pixels.ndim == 2 else RGB, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _block(rows: bytes, start: int) -> bytes:
    """Bytes as they are, RFC 1951, section 3.2.4; the first byte says whether more blocks follow."""
    content = rows[start : start + MOST_BYTES]
    last = start + MOST_BYTES >= len(rows)
    return struct.pack("<BHH", last, len(content), len(content) ^ 0xFFFF) + content


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
