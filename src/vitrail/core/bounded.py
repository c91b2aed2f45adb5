"""Reading files that others may have written: regular files alone, up to a limit, and JSON of any depth.

A pipe would wait for ever, a link to a device has no end, and JSON that is nested 200,000 deep overflows the stack of
its reader.
"""

import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

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
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(None, f"it has more than {most_bytes:,} bytes")
    return content


def parse_json(content: bytes | str) -> Any:
    """A JSON document; raises ValueError, whatever is wrong with it."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: Path) -> Any:
    """The document in a JSON file; raises OSError if it cannot be read, ValueError if it is not JSON."""
    return parse_json(read_bounded(path, MOST_JSON))
