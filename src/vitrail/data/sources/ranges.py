"""Bytes at a place in a file, from several threads at once: what archives are read through, whatever holds them."""

import io
import os
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

from vitrail.core.bounded import open_regular

MOST_OPEN = 64  # of the files of one data set; a process may often have no more than 256 open


class Ranges(Protocol):
    """A file whose bytes any number of threads can read, at any place."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    @property
    def block(self) -> int:
        """How many bytes are well read at once, by one who looks through the file."""

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer where the file ends before; raises OSError if it cannot be read."""


def inside(start: int, length: int, size: int) -> int:
    """How many of `length` bytes from `start` a file of `size` has; an archive may claim more than memory can hold."""
    return max(0, min(length, size - start))


class FileRanges:
    """A file of this machine."""

    block = 1 << 14

    def __init__(self, path: Path) -> None:
        """Open it; OSError if it cannot be, or is not a regular file."""
        self._file = open_regular(path)
        self._size = os.fstat(self._file.fileno()).st_size
        self._position = threading.Lock()

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self._size

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer at the end; raises OSError."""
        length = inside(start, length, self._size)
        if hasattr(os, "pread"):  # shares no position, so threads need not wait for each other
            return os.pread(self._file.fileno(), length, start)
        with self._position:  # on Windows
            self._file.seek(start)
            return self._file.read(length)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


class ReadRanges:
    """A file that has been read."""

    block = 1 << 14

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer at the end."""
        return self._content[start : start + length]


class _Reopened:
    """One of many files, opened again where others were read since."""

    def __init__(self, opened: Callable[[str], Ranges], name: str) -> None:
        self._opened, self._name = opened, name
        now = opened(name)
        self.size, self.block = now.size, now.block

    def read_at(self, start: int, length: int) -> bytes:
        return self._opened(self._name).read_at(start, length)


def keep_few_open(openers: Mapping[str, Callable[[], Ranges]]) -> dict[str, Callable[[], Ranges]]:
    """The same openers by name, with only the files that were read last kept open, however many there are."""
    opened = lru_cache(MOST_OPEN)(lambda name: openers[name]())
    return {name: partial(_Reopened, opened, name) for name in openers}


class _Reader(io.RawIOBase):
    def __init__(self, ranges: Ranges) -> None:
        self._ranges, self._at = ranges, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ranges.size}[whence]
        if base + offset < 0:
            raise OSError("the archive is cut off: it points before its own beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._ranges.read_at(self._at, len(buffer))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


class _Buffered(io.BufferedReader):
    """Takes memory for no more than there is, and goes no further, whatever an archive claims to hold."""

    def __init__(self, ranges: Ranges, most: int) -> None:
        super().__init__(_Reader(ranges), ranges.block)
        self._size, self._most = ranges.size, most

    def read(self, size: int | None = -1, /) -> bytes:
        length = self._size - self.tell() if size is None or size < 0 else min(size, self._size)
        if length > self._most:
            raise OSError(f"a part of {length:,} bytes is larger than any header")
        return super().read(length)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return super().seek(min(offset, self._size), whence)


def as_file(ranges: Ranges, *, most: int) -> io.BufferedReader:
    """A file object with its own position, for the thread that lists an archive.

    Reading more than `most` bytes at once raises OSError.
    """
    return _Buffered(ranges, most)
