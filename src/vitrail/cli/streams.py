"""Standard output and error, which whoever started the program may have closed, or may close before its end."""

import os
import sys
from pathlib import Path
from typing import TextIO


def open_streams() -> None:
    """Make both writable: a stream that was closed, as under some service managers, discards what is written to it."""
    sys.stdout, sys.stderr = sys.stdout or _discard(), sys.stderr or _discard()
    for stream in (sys.stdout, sys.stderr):
        # A path may hold bytes that no encoding explains; naming it must not end the program.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def flush_output() -> None:
    """Write what is left; output that nobody reads any more is discarded, so that Python does not report it later."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _discard() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")
