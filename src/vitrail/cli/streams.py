"""Standard output and error, and all that a command writes to them apart from its consoles.

Whoever started the program may have closed either, or may close it before its end. What is printed is made printable
here (`core/printable.py`); JSON stays exact.
"""

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

import typer

from vitrail.core.printable import LAYOUT, escape_for_json, make_printable


def open_streams() -> None:
    """Make both writable: a stream that was closed, as under some service managers, discards what is written to it."""
    sys.stdout, sys.stderr = sys.stdout or _discard(), sys.stderr or _discard()
    for stream in (sys.stdout, sys.stderr):
        # A path may hold bytes that no encoding explains; naming it must not end the program.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def echo(text: str, *, err: bool = False) -> None:
    """Print lines, on standard error with `err`; what a terminal would obey in them is written out."""
    typer.echo(make_printable(text, layout=LAYOUT), err=err)  # noqa: TID251 - the one place


def echo_json(document: str) -> None:
    """Print a JSON document: who reads it gets every character, and a terminal obeys none."""
    typer.echo(escape_for_json(document).rstrip("\n"))  # noqa: TID251 - the one place


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
