"""A downloaded archive becomes the file that Vitrail reads: a plain tar, in which any image can be read at once.

A part of a compressed tar cannot be read without unpacking what lies before it. No member of a tar is ever written to
disk, so no path in it can lead anywhere.
"""

import gzip
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from vitrail.core.errors import DownloadError
from vitrail.core.whole_files import put_in_place

BLOCK_BYTES = 1 << 20
BOMB_RATIO, BOMB_BYTES = 20, 1_000_000_000  # images hardly shrink when they are packed
GZIP = b"\x1f\x8b"


def store_unpacked(packed: Path, target: Path, *, inside: str = "") -> None:
    """Write what a gzip file holds, or the member `inside` of a zip archive and what that holds, to a file of its own.

    Raises:
        DownloadError: the archive is damaged, lacks the member, or unpacks without end; or the disk is full.
    """
    most = max(BOMB_BYTES, BOMB_RATIO * packed.stat().st_size)
    try:
        put_in_place(target, lambda temporary: _write(packed, inside, temporary, most))
    except (KeyError, EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DownloadError(
            f"{packed.name} cannot be unpacked ({error or type(error).__name__}): it is damaged; fetch it again."
        ) from error
    except OSError as error:
        raise DownloadError(
            f"{packed.name} could not be unpacked into {target.parent} ({error.strerror or error}): free some disk "
            "space, or choose another place with VITRAIL_CACHE, and run the same command again."
        ) from error


def _write(packed: Path, inside: str, temporary: Path, most: int) -> None:
    free = shutil.disk_usage(temporary.parent).free
    written = 0
    with ExitStack() as stack, temporary.open("wb") as writer:
        stream: IO[bytes] = stack.enter_context(packed.open("rb"))
        if inside:
            archive = stack.enter_context(zipfile.ZipFile(stream))
            stream = stack.enter_context(archive.open(inside))
        for block in _unpacked(stream):
            written += len(block)
            if written > most:
                raise DownloadError(f"{packed.name} is refused: it unpacks without end, as only an archive bomb does.")
            if written > free:
                raise OSError(None, "no space left on device")
            writer.write(block)


def _unpacked(stream: IO[bytes]) -> Iterator[bytes]:
    """The blocks of a stream, unpacked if it is a gzip file."""
    is_gzip = stream.read(len(GZIP)) == GZIP
    stream.seek(0)
    reader = gzip.GzipFile(fileobj=stream) if is_gzip else stream
    while block := reader.read(BLOCK_BYTES):
        yield block
