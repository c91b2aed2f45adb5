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

    `pixels` is H x W for grey or H x W x 3 for RGB, of at most 65,535 bytes with one more a row.

    Raises:
        ValueError: there are more pixels.
    """
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # filter 0 before each row
    if len(rows) > MOST_BYTES:
        raise ValueError(f"{height} x {width} pixels do not fit into one block")
    block = b"\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows  # RFC 1951, section 3.2.4
    stream = b"\x78\x01" + block + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, GREY if pixels.ndim == 2 else RGB, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
