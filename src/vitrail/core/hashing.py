"""The one hashing rule: sha256, in hexadecimal, of bytes or of canonical JSON."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vitrail.core.bounded import open_regular

SHA256_LETTERS = 64  # of a digest in hexadecimal
ROWS_AT_ONCE = 4096  # rows of a long column that are held as Python objects


def sha256_bytes(data: bytes | memoryview) -> str:
    """The sha256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The sha256 of a regular file's content, read in blocks so that memory stays flat; raises OSError."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """The sha256 of a JSON value, whatever the order of its keys.

    Args:
        value: what `json.dumps` takes; NaN and infinity are refused, since JSON has none.

    Returns:
        64 hexadecimal digits.
    """
    encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    digest = hashlib.sha256()
    for piece in encoder.iterencode(value):  # the text of a million ids never stands whole in memory
        digest.update(piece.encode())
    return digest.hexdigest()


def add_array(digest: "hashlib._Hash", blocks: Iterable[Sequence[Any]]) -> None:
    """Add the canonical JSON of one long array to a digest, from blocks of its values: it never stands whole."""
    separator = b"["
    for block in blocks:
        if block:
            digest.update(separator + json.dumps(block, separators=(",", ":"))[1:-1].encode())
            separator = b","
    digest.update(b"]" if separator == b"," else b"[]")
