"""Pickles as Python 2 wrote them, in protocol 2: texts and arrays hold SHORT_BINSTRING and BINSTRING."""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np


def python2_pickle(value: Any) -> bytes:
    """The pickle of dictionaries, lists, numbers, texts and arrays of bytes."""
    return b"\x80\x02" + _dump(value) + b"."


def _dump(value: Any) -> bytes:
    if isinstance(value, str | bytes):
        raw = value.encode("latin1") if isinstance(value, str) else value
        return (b"U" + bytes([len(raw)]) if len(raw) < 256 else b"T" + struct.pack("<i", len(raw))) + raw
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if value is None:
        return b"N"
    if isinstance(value, int):
        return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)
    if isinstance(value, Mapping):
        return b"}(" + b"".join(_dump(key) + _dump(inner) for key, inner in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_dump, value)) + b"e"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_dump, value)) + b"t"
    assert isinstance(value, np.ndarray)
    kind = b"cnumpy\ndtype\n" + _dump(("u1", 0, 1)) + b"R" + _dump((3, "|", None, None, None, -1, -1, 0)) + b"b"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _dump((0,)) + _dump("b") + b"tR"
    content = _dump(value.tobytes())
    return made + b"(" + _dump(1) + _dump(value.shape) + kind + _dump(False) + content + b"tb"
