"""Makes sure that weights are read as the bytes that their digest is of, whatever library parses them.

A file that is replaced between the two would put its features into the shared cache under another file's digest. Most
parsers take a path, and holding a file in memory would cost its size once more. So it is hashed just before it is
parsed, and must be untouched afterwards: 2.5 GB take a second or two, and no memory.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vitrail.backbones.specs import digest_of, files_of, unreadable
from vitrail.core.errors import WeightsError

TICK_S = 2.0  # FAT's; a file that changes twice within one tick of the clock may keep its times

_Facts = tuple[int, int, int, int, int]


@contextmanager
def verified(path: Path, digest: str) -> Iterator[None]:
    """Within this, a weights file or folder that is read is the one with this digest.

    Tensors that stay mapped from the file must be copied before the end.

    Raises:
        WeightsError: the file has other bytes, cannot be read, or changed meanwhile; what was read must not be used.
    """
    before = _stamp(path)
    begun = time.time()
    _require(path, digest)
    yield
    if _stamp(path) != before:
        raise WeightsError(_say_changed(path))
    if max(max(mtime, ctime) for *_, mtime, ctime in before) / 1e9 > begun - TICK_S:
        _require(path, digest)


def _require(path: Path, digest: str) -> None:
    try:
        if digest_of(path) != digest:
            raise WeightsError(_say_changed(path))
    except OSError as error:
        raise unreadable(path, error) from error


def _stamp(path: Path) -> list[_Facts]:
    """What changes when a file is written, replaced or renamed, or a link to it is set to another file."""
    try:
        return [_facts(stat) for file in files_of(path) for stat in (file.lstat(), file.stat())]
    except OSError as error:
        raise unreadable(path, error) from error


def _facts(stat: os.stat_result) -> _Facts:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _say_changed(path: Path) -> str:
    return (
        f"The weights {path} changed while Vitrail was using them, so no features were computed with them. Leave the "
        "file as it is, or use a copy, and run the same command again."
    )
