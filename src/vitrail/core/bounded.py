"""Reading files that others may have written: regular files alone, up to a limit, and JSON of any depth.

A pipe would wait for ever, a link to a device has no end, and JSON that is nested 200,000 deep overflows the stack of
its reader. A path may be too long, hold a zero byte or lead through a closed folder: then pathlib's questions raise,
and those here say no.
"""

import json
import os
import re
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

SURROGATE = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")  # half a character, as it stands or as an escape of JSON
BLOCK = 1 << 20
MOST_JSON = 256 << 20  # bytes; results.json of 1,000 classes and 80 backbones has 40 MB


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading; raises OSError if it cannot be read, or is a folder, a pipe or a device."""
    # Without O_NONBLOCK, opening a pipe waits for its writer; Windows has neither.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(None, "it is not a regular file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """The bytes of a regular file; raises OSError if it cannot be read, or has more than `most_bytes`."""
    with open_regular(path) as file:
        # Asked for the limit itself, Python would take memory for it at once. A file in /proc says that it has 0 bytes.
        content = file.read(min(os.fstat(file.fileno()).st_size, most_bytes) + 1)
        while len(content) <= most_bytes and (block := file.read(BLOCK)):
            content += block
    if len(content) > most_bytes:
        raise OSError(None, f"it has more than {most_bytes:,} bytes")
    return content


def is_regular_file(path: str | Path) -> bool:
    """Whether a path leads to a file whose bytes can be asked for; False for a folder, a pipe and what is not there."""
    return os.path.isfile(path)  # noqa: PTH113 - Path's own raises for a long name, a zero byte or a closed folder


def is_folder(path: str | Path) -> bool:
    """Whether a path leads to a folder."""
    return os.path.isdir(path)  # noqa: PTH112 - likewise


def is_there(path: str | Path) -> bool:
    """Whether a path leads to anything that can be seen."""
    return os.path.exists(path)  # noqa: PTH110 - likewise


def parse_json(content: bytes | str) -> Any:
    """A JSON document in UTF-8 whose texts can all be written again; raises ValueError, whatever is wrong with it."""
    text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    try:
        document = json.loads(text)  # noqa: TID251 - the one place
        if SURROGATE.search(text):  # most are one half of a pair
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return document


def read_json(path: Path) -> Any:
    """The document in a JSON file; raises OSError if it cannot be read, ValueError if it is not JSON."""
    return parse_json(read_bounded(path, MOST_JSON))
