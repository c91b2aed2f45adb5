"""Makes sure that files are read as the bytes that a digest is of, whatever library parses them.

A file that is replaced after it was hashed would pass for the one that was. Most parsers take a path, and holding a
large file in memory would cost its size once more. So files are hashed just before they are parsed, and must be
untouched afterwards.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

TICK_S = 2.0  # FAT's; a file that changes twice within one tick of the clock may keep its times


class ChangedFileError(Exception):
    """What was read is not what was hashed, and must not be used."""


@contextmanager
def same_bytes(files: Sequence[Path], compute_digest: Callable[[], str], digest: str) -> Iterator[None]:
    """Within this, what is read from these files is what the digest is of.

    Contents that stay mapped must be copied before the end.

    Raises:
        ChangedFileError: the digest is another one, or a file changed meanwhile or cannot be read.
    """
    before = _stamp(files)
    begun = time.time()
    _require(compute_digest, digest)
    yield
    if _stamp(files) != before:
        raise ChangedFileError
    if max(max(mtime, ctime) for *_, mtime, ctime in before) / 1e9 > begun - TICK_S:
        _require(compute_digest, digest)


def _require(compute_digest: Callable[[], str], digest: str) -> None:
    try:
        actual = compute_digest()
    except OSError as error:
        raise ChangedFileError from error
    if actual != digest:
        raise ChangedFileError


def _stamp(files: Sequence[Path]) -> list[tuple[int, int, int, int, int]]:
    """What changes when a file is written, replaced or renamed, or a link to it is set to another file."""
    try:
        stats = [stat for file in files for stat in (file.lstat(), file.stat())]
    except OSError as error:
        raise ChangedFileError from error
    return [(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for stat in stats]
