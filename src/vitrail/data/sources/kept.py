"""Files at a URL, downloaded once for both reads: the first for the id, the second for the pixels.

Files on this machine do not need this: the system keeps them in memory that it can take back at any time.
"""

import threading
from collections.abc import Iterator

from vitrail.data.dataset import Listed, Source


class KeptDownloads:
    """A source whose files are kept in memory from their first read to their second, as many as fit in `budget` bytes.

    The first file that is read again ends the first reads: from then on nothing more is kept.
    """

    def __init__(self, source: Source, budget: int) -> None:
        self._source, self._budget = source, budget
        self._lock = threading.Lock()
        self._kept: dict[str, bytes] = {}
        self._size = 0
        self._keeping = True

    @property
    def name(self) -> str:
        """The name of the source."""
        return self._source.name

    def list_files(self) -> Iterator[Listed]:
        """Every file that the source lists."""
        return self._source.list_files()

    def read(self, path: str) -> bytes:
        """The bytes of one file; raises OSError as the source does."""
        with self._lock:
            kept = self._kept.pop(path, None)
            if kept is not None:
                self._keeping = False
                self._size -= len(kept)
                return kept
        data = self._source.read(path)
        with self._lock:
            if self._keeping and self._size + len(data) <= self._budget:
                self._kept[path] = data
                self._size += len(data)
        return data
