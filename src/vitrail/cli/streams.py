"""Standard output and error, which whoever started the program may have closed, or may close before its end."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO


def open_streams() -> None:
    """Make both writable: a stream that was closed, as under some service managers, discards what is written to it."""
    sys.stdout, sys.stderr = sys.stdout or _discard(), sys.stderr or _discard()
    for stream in (sys.stdout, sys.stderr):
        # A path may hold bytes that no encoding explains; naming it must not end the program.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush_output() -> bool:
    """Write what is left, and discard what cannot be written, so that Python does not report it once more.

    Returns:
        False if output is lost that somebody may have wanted: the disk is full, for example.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return isinstance(error, BrokenPipeError)  # whoever read the output has read enough
    return True


def _discard() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")
