"""Any part of a gzip file without unpacking it to disk: the state of the unpacker is kept at places along the way.

Each state is about 40 KB, the last 32 KB unpacked being most of it. They are a megabyte apart at first; where there
are more than POINTS, every other is let go, so memory stays under 25 MB and reading a part unpacks what lies between
it and the place before it: half a megabyte in an archive of 500 MB, ten in one of 10 GB.
"""

import bisect
import zlib
from dataclasses import dataclass
from typing import Any

from vitrail.core.errors import DataError
from vitrail.data.sources.ranges import Ranges, inside

POINTS = 512
SPACING = 1 << 20
INPUT_BYTES, OUTPUT_BYTES = 1 << 16, 1 << 20  # read and unpacked at once
BOMB_RATIO, BOMB_BYTES = 200, 1_000_000_000
MULTI = 31  # zlib's word for a window of 32 KB with gzip's header and checksum


@dataclass(slots=True)
class _Unpacker:
    """Unpacks from a given place. `state` is zlib's object, which has no public type."""

    packed: Ranges
    at_packed: int
    at: int
    state: Any
    waiting: bytes = b""

    def copy(self) -> "_Unpacker":
        return _Unpacker(self.packed, self.at_packed, self.at, self.state.copy(), self.waiting)

    def more(self) -> bytes:
        """The next bytes, none at the end; raises zlib.error or OSError if the file is damaged or cut off."""
        while True:
            if self.state.eof:
                self.waiting = self.state.unused_data.lstrip(b"\0") or self.waiting  # zeros may pad the end
                self.state = zlib.decompressobj(MULTI)
                if not self.waiting and self.at_packed >= self.packed.size:
                    return b""
            if not self.waiting:
                self.waiting = self.packed.read_at(self.at_packed, INPUT_BYTES)
                self.at_packed += len(self.waiting)
                if not self.waiting:
                    raise OSError(0, "it is cut off before its end")
            unpacked: bytes = self.state.decompress(self.waiting, OUTPUT_BYTES)
            self.waiting = self.state.unconsumed_tail
            if unpacked:
                self.at += len(unpacked)
                return unpacked


class GzipRanges:
    """What a gzip file holds, unpacked where it is read."""

    block = 1 << 20

    def __init__(self, packed: Ranges, where: str) -> None:
        """Unpack everything once without keeping it; `where` is the file's name in errors.

        Raises:
            DataError: the file is damaged, or unpacks without end.
        """
        self._points = [_Unpacker(packed, 0, 0, zlib.decompressobj(MULTI))]
        spacing, running = SPACING, self._points[0].copy()
        try:
            while running.more():
                if running.at - self._points[-1].at >= spacing:
                    self._points.append(running.copy())
                if len(self._points) > POINTS:
                    self._points, spacing = self._points[::2], spacing * 2
                if running.at > BOMB_BYTES and running.at > BOMB_RATIO * running.at_packed:
                    raise DataError(f"{where} is refused: it unpacks without end, as only an archive bomb does.")
        except (zlib.error, OSError) as error:
            raise DataError(f"{where} cannot be unpacked ({error}): it is damaged; fetch it again.") from error
        self._size = running.at

    @property
    def size(self) -> int:
        """Its length in bytes, unpacked."""
        return self._size

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer at the end; raises OSError."""
        length = inside(start, length, self._size)
        place = bisect.bisect_right(self._points, start, key=lambda point: point.at) - 1
        unpacker = self._points[place].copy()
        parts: list[bytes] = []
        try:
            while unpacker.at < start + length:
                before, unpacked = unpacker.at, unpacker.more()
                if not unpacked:
                    break
                parts.append(unpacked[max(0, start - before) : start + length - before])
        except zlib.error as error:
            raise OSError(0, "its bytes in the archive are damaged") from error
        return b"".join(parts)
