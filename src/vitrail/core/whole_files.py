"""Writing a file whole or not at all, whatever interrupts it, under a name that every system takes."""

import errno
import os
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from glob import escape
from hashlib import sha256
from pathlib import Path

from vitrail.core.bounded import is_regular_file, is_there
from vitrail.core.errors import RunError

TEMPORARY = ".tmp"


def safe_name(name: str) -> str:
    """A name that is one file name on every system: letters, digits, dot, dash and underscore."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"


def unique_name(name: str) -> str:
    """The same, and no other name gives it, on a system that ignores case either."""
    safe = safe_name(name)
    return safe if safe == name.casefold() else f"{safe}-{sha256(name.encode()).hexdigest()[:8]}"


def delete_temporaries(folder: Path) -> None:
    """Delete what a killed writer left in a folder or below it; only where no other writer is at work."""
    for path in folder.rglob(f".*{TEMPORARY}"):
        with suppress(OSError):
            path.unlink()


def delete_temporaries_of(path: Path) -> None:
    """Delete what killed writers of one file left beside it; only where no other writer is at work."""
    for temporary in path.parent.glob(f".{escape(path.name)}.*{TEMPORARY}"):
        with suppress(OSError):
            temporary.unlink()


def put_in_place(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file next to `path`, sync and rename it: a reader sees the old file or the new.

    The folder of `path` is created if it does not exist.

    Raises:
        OSError: the disk is full or the folder cannot be written; an existing file is unchanged.
    """
    _put(path, write, lambda temporary: temporary.replace(path))


def put_if_absent(path: Path, write: Callable[[Path], object]) -> None:
    """The same, but a file that is there stays: where several processes write, all of them read the first one's.

    On a file system without hard links the last one's may be read.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """

    def put(temporary: Path) -> None:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            pass
        except OSError:
            temporary.replace(path)

    _put(path, write, put)


def _put(path: Path, write: Callable[[Path], object], put: Callable[[Path], object]) -> None:
    if not path.name:  # "" and "." name a folder
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if is_there(path) and not is_regular_file(path):  # a rename would put a file in the place of a device
        raise FileExistsError(errno.EEXIST, "it is there and is not a regular file", str(path))
    # A process id would not do: machines that share the folder, and containers most of all, have the same ones.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        put(temporary)
        _sync_folder(path.parent)
    finally:
        with suppress(OSError):  # if the folder itself could not be made, there is nothing to delete
            temporary.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    if os.name == "nt":  # Windows opens no folder; its file systems journal a rename
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file for the user, with an error that says what to do.

    Raises:
        RunError: the disk is full, or the folder cannot be written.
    """
    try:
        put_in_place(path, write)
    except OSError as error:
        raise RunError(
            f"{path} could not be written ({error.strerror or error}). "
            "Free some disk space or choose another place with --out, then run the same command again."
        ) from error
