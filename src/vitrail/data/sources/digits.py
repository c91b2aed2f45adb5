"""scikit-learn's digits: 1,797 handwritten digits of 8 x 8 pixels, there without a download.

Each becomes a grey PNG whose bytes depend on the pixels alone: it is stored uncompressed, since two versions of zlib
may compress the same pixels differently, and the bytes are an example's identity.
"""

import struct
import zlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrail.data.dataset import ListedFile, SetAside

BRIGHTEST = 16  # the digits are counts of ink pixels in 4 x 4 cells


class DigitsSource:
    """The 1,797 digits, as PNG files in memory."""

    @property
    def name(self) -> str:
        """The data set's name."""
        return "digits"

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """One file a digit."""
        for index, label in enumerate(self._digits.target):
            yield ListedFile(path=f"{label}/{index:04d}.png", label=str(label))

    def read(self, path: str) -> bytes:
        """The PNG of one digit."""
        index = int(path.partition("/")[2].removesuffix(".png"))
        return grey_png(np.rint(self._digits.images[index] * (255 / BRIGHTEST)).astype(np.uint8))

    @cached_property
    def _digits(self) -> Any:
        from sklearn.datasets import load_digits

        return load_digits()


def grey_png(pixel_HW: NDArray[np.uint8]) -> bytes:
    """An 8-bit grey PNG, uncompressed, the same bytes on every machine.

    `pixel_HW` has at most 65,535 bytes with one more a row, which one block of DEFLATE holds.
    """
    height, width = pixel_HW.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixel_HW)  # filter 0 before each row
    block = b"\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows  # RFC 1951, section 3.2.4
    stream = b"\x78\x01" + block + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
