"""Standard output and error, and all that a command writes to them apart from its consoles.

Whoever started the program may have closed either, or may close it before its end. What is printed is made printable
here (`core/printable.py`); JSON stays exact.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

import typer

from vitrail.core.errors import VitrailError
from vitrail.core.printable import LAYOUT, escape_for_json, make_printable


def open_streams() -> None:
    """Make both writable: a stream that was closed, as under some service managers, discards what is written to it."""
    # A path may hold bytes that no encoding explains; naming it must not end the program.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout = _Output(
            sys.stdout.buffer,
            sys.stdout.encoding,
            "backslashreplace",
            line_buffering=sys.stdout.line_buffering,
            write_through=sys.stdout.write_through,
        )
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = sys.stdout or _discard(), sys.stderr or _discard()


def echo(text: str, *, err: bool = False) -> None:
    """Print lines, on standard error with `err`; what a terminal would obey in them is written out."""
    typer.echo(make_printable(text, layout=LAYOUT), err=err)  # noqa: TID251 - the one place


def echo_json(document: str) -> None:
    """Print a JSON document: who reads it gets every character, and a terminal obeys none."""
    typer.echo(escape_for_json(document).rstrip("\n"))  # noqa: TID251 - the one place


def flush_output() -> None:
    """Write what is left, and discard what cannot be written, so that Python does not report it once more.

    Raises:
        VitrailError: output is lost that somebody may have wanted: the disk is full, for example.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has read enough
        _discard_rest()
    except VitrailError:
        _discard_rest()
        raise


class _Output(TextIOWrapper):
    """Standard output, which says in a sentence that it cannot be written."""

    def write(self, text: str, /) -> int:
        with _name_failure():
            return super().write(text)

    def flush(self) -> None:
        with _name_failure():
            super().flush()


@contextmanager
def _name_failure() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise VitrailError(
            f"The output of this command could not be written ({error.strerror or error}). Free some disk space or "
            "send the output elsewhere, then run the same command again."
        ) from error


def _discard_rest() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _discard() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8", errors="backslashreplace")
