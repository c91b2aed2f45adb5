r"""Files of this machine: how their names are written down, and how one is read.

A path in a data set is relative to its root, with forward slashes, and can always be printed, stored and read back:
control characters and bytes that are not UTF-8 are written `\xNN`, and a backslash is doubled. All other names,
spaces and accents included, stay as they are.
"""

import errno
import os
import re
import stat
from functools import lru_cache
from pathlib import Path

from vitrail.data.in_flight import FILES
from vitrail.data.text_identity import normalise

# An image within the default limit of pixels, at 16 bits and four channels, uncompressed, is 0.8 GB. What is larger is
# a video or a disk image, and reading it would take the memory that everything else needs.
MAX_FILE_BYTES = 1 << 30

# Windows would translate the ends of lines, and opening a pipe would wait for its writer.
READ_ONLY = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
READ_AT_ONCE = 1 << 20  # files of this size or less are not counted in the budget of bytes

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TO_ESCAPE = re.compile(rf"\\|{_UNPRINTABLE.pattern}")
_ESCAPE = re.compile(rb"\\(?:\\|x([0-9a-f]{2}))")


def written(name: str) -> str:
    """A file's name as a data set writes it; `as_on_disk` is its inverse."""
    return _TO_ESCAPE.sub(_escape, name)


def as_on_disk(path: str) -> str:
    """The name that `written` was given."""
    if "\\" not in path:
        return path
    raw = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()) if match[1] else b"\\", os.fsencode(path))
    return os.fsdecode(raw)


@lru_cache(maxsize=1 << 16)
def clean_text(text: str) -> str:
    """A label, a group or a value of a column in the form for comparison, which can be printed; it may be empty.

    Nothing is looked up by it, so a backslash stays as it is: a text that was cleaned once is not changed again.
    """
    return _UNPRINTABLE.sub(_escape, normalise(text))


def read_file(path: str | Path) -> bytes:
    """The bytes of one file.

    Raises:
        OSError: it cannot be read, is not a regular file, or is larger than any image.
    """
    file = os.open(path, READ_ONLY)  # Python's file objects call the system twice as often
    try:
        status = os.fstat(file)
        size = status.st_size
        if stat.S_ISDIR(status.st_mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is not a regular file")
        _require_image_size(size)
        if size > READ_AT_ONCE:
            FILES.take(size)
        blocks = [os.read(file, size + 1)]
        if len(blocks[0]) != size:  # some file systems return fewer bytes than requested, or state no size
            while block := os.read(file, READ_AT_ONCE):
                blocks.append(block)
                size = max(size, sum(map(len, blocks)))
                _require_image_size(size)
        return b"".join(blocks)
    finally:
        os.close(file)


def _require_image_size(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise OSError(0, f"it is larger than any image ({size / 1e9:.1f} GB)")


def read_listed(folder: Path, path: str) -> bytes:
    """The bytes of a file below a folder, by its path as a data set writes it; raises OSError as `read_file` does."""
    return read_file(f"{folder}/{as_on_disk(path)}")


def _escape(match: re.Match[str]) -> str:
    if match[0] == "\\":
        return "\\\\"
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(match[0]))
