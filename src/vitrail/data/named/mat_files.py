"""Arrays in a MATLAB file of version 5, as several official splits are published.

scipy reads them and runs nothing that it finds. A file that comes from elsewhere may be small and unpack to very much,
so its parts are unpacked once before, without keeping them.
"""

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import DataError

HEADER_BYTES, VERSION = 128, 0x0100  # MAT-File Format, "Level 5 MAT-File Format"
COMPRESSED, MATRIX = 15, 14  # types of elements
MOST_BYTES = 1 << 30
AT_ONCE = 1 << 20


def read_mat(content: bytes, names: Sequence[str], where: str, *, most_bytes: int = MOST_BYTES) -> list[NDArray[Any]]:
    """Some arrays of a file, without axes of length 1.

    Args:
        content: the whole file.
        names: of the wanted variables.
        where: the file's name in errors.
        most_bytes: that the file may unpack to.

    Raises:
        DataError: it is not a MATLAB file of version 5, is damaged, lacks a variable, or unpacks to too much.
    """
    from scipy.io import loadmat

    try:
        _require_modest(content, most_bytes)
        variables = loadmat(cast("Any", BytesIO(content)), variable_names=list(names), squeeze_me=True)
        return [np.atleast_1d(variables[name]) for name in names]
    except Exception as error:  # a damaged file can make its reader raise anything
        raise DataError(
            f"{where} cannot be read as a MATLAB file with {' and '.join(names)} ({error or type(error).__name__}): "
            "fetch it again."
        ) from error


def _require_modest(content: bytes, most_bytes: int) -> None:
    """Raise a ValueError unless all elements together unpack to at most so many bytes."""
    order = {b"IM": "<", b"MI": ">"}.get(content[HEADER_BYTES - 2 : HEADER_BYTES])
    if order is None or struct.unpack_from(f"{order}H", content, HEADER_BYTES - 4)[0] != VERSION:
        raise ValueError("it has another version than 5")
    at, unpacked = HEADER_BYTES, 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}2I", content, at)
        if kind not in (COMPRESSED, MATRIX) or at + 8 + size > len(content):
            raise ValueError("it is damaged")
        element = memoryview(content)[at + 8 : at + 8 + size]
        unpacked += size if kind == MATRIX else _count_unpacked(element, most_bytes - unpacked)
        if unpacked > most_bytes:
            raise ValueError(f"it unpacks to more than {most_bytes:,} bytes")
        at += 8 + size


def _count_unpacked(element: memoryview, most_bytes: int) -> int:
    """How many bytes a compressed element holds; counting ends beyond `most_bytes`."""
    unpacker, waiting, count = zlib.decompressobj(), bytes(element), 0
    while waiting and count <= most_bytes:
        count += len(unpacker.decompress(waiting, AT_ONCE))
        waiting = unpacker.unconsumed_tail
    return count
