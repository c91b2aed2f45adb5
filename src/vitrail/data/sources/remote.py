"""Images at a URL: a folder of a bucket, or an archive or Parquet file in it, read in place.

s3:// is read by pyarrow (region and endpoint from the usual AWS_ variables, or from the URL's query, as in
s3://bucket/dogs?region=eu-west-3), every other scheme by fsspec, which may need an extra package.

An object that a server refuses is set aside; a lost connection ends the run, which continues when it is started again.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import PurePosixPath
from urllib.parse import SplitResult, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from vitrail.core.errors import DataError, UsageError
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.sources.local import MAX_FILE_BYTES, as_on_disk, written
from vitrail.data.sources.ranges import inside
from vitrail.data.sources.tree import list_names, why_not_inside

REFUSED = re.compile("NO_SUCH_KEY|RESOURCE_NOT_FOUND|ACCESS_DENIED|HTTP status (403|404)", re.IGNORECASE)


class Remote:
    """A place at a URL: its listing and its bytes."""

    def __init__(self, url: str) -> None:
        """Find out what the URL names; UsageError if that is nothing, DataError if it cannot be reached."""
        self.url = _split(url)._replace(query="", fragment="").geturl().rstrip("/")
        self._system, self._root = _system_of(url)
        self._guard: AbstractContextManager[object] = (
            nullcontext() if isinstance(self._system, pafs.S3FileSystem) else threading.Lock()
        )
        with _reached(self.url):
            info = self._system.get_file_info(self._root)
        if info.type == pafs.FileType.NotFound:
            raise UsageError(f"There is nothing at {self.url}: check the address, and that you may read it.")
        self.is_file = info.type == pafs.FileType.File

    def sizes(self) -> dict[str, int]:
        """Every file below, by its name from here on, and its length in bytes."""
        with _reached(self.url):
            infos = self._system.get_file_info(pafs.FileSelector(self._root, recursive=True))
        skipped = len(self._root.rstrip("/")) + 1
        return {info.path[skipped:]: info.size for info in infos if info.type == pafs.FileType.File}

    def ranges(self, name: str = "") -> "RemoteRanges":
        """One of the files, or the one that the URL names."""
        with _reached(f"{self.url}/{name}".rstrip("/")):
            file = self._system.open_input_file(self._path(name))
            return RemoteRanges(file, file.size(), self._guard, self.url)

    def read(self, name: str) -> bytes:
        """All bytes of one file; raises OSError if the server refuses it, DataError if it is not reached."""
        with (
            _reached(self.url),
            self._guard,
            self._system.open_input_stream(self._path(name), compression=None) as file,
        ):
            return bytes(file.read())

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else self._root


class RemoteRanges:
    """Parts of one remote file."""

    block = 1 << 20

    def __init__(self, file: pa.NativeFile, size: int, guard: AbstractContextManager[object], url: str) -> None:
        self._file, self._size, self._guard, self._url = file, size, guard, url

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self._size

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer at the end; raises OSError or DataError as `Remote.read` does."""
        with _reached(self._url), self._guard:
            return bytes(self._file.read_at(inside(start, length, self._size), start))


class RemoteFolder:
    """Images in a remote folder, by the rules of `tree.py`."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return written(PurePosixPath(_split(self._remote.url).path).name or _split(self._remote.url).netloc)

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """Every object with its label, or the reason why it has none."""
        sizes = {name: size for name, size in self._remote.sizes().items() if not name.endswith("/")}
        reasons = {name: _why_not(name, size) for name, size in sizes.items()}
        yield from (SetAside(path=written(name), reason=reason) for name, reason in reasons.items() if reason)
        yield from list_names([name for name in sizes if not reasons[name]], self._remote.url, self._remote.read)

    def read(self, path: str) -> bytes:
        """The bytes of one object; raises OSError."""
        return self._remote.read(as_on_disk(path))


def _why_not(name: str, size: int) -> str | None:
    if size > MAX_FILE_BYTES:
        return f"it is larger than any image ({size / 1e9:.1f} GB)"
    return why_not_inside(name)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise UsageError(f"{url} is not a URL ({error}): check the spelling.") from error


def _system_of(url: str) -> tuple[pafs.FileSystem, str]:
    scheme = _split(url).scheme
    try:
        if scheme in ("s3", "s3a"):
            system, path = pafs.FileSystem.from_uri(url.replace("s3a://", "s3://", 1))
            return system, str(path)
        import fsspec  # type: ignore[import-untyped]

        remote, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise UsageError(f"{scheme}:// needs a package that is not installed: {error}.") from error
    except Exception as error:  # each of fsspec's packages raises its own errors
        raise UsageError(f"{url} cannot be opened ({error}): check the spelling.") from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(remote)), str(path)


@contextmanager
def _reached(url: str) -> Iterator[None]:
    """Tells a refusal, which passes as OSError, from a connection that fails, which ends the run."""
    try:
        yield
    except (DataError, UsageError):
        raise
    except Exception as error:  # each of fsspec's packages raises its own errors
        words = " ".join(str(error).split())
        if isinstance(error, FileNotFoundError | PermissionError) or REFUSED.search(words):
            raise OSError(0, f"the server refuses it ({words[:200]})") from error
        raise DataError(
            f"{url} could not be read ({words[:300]}). Check the connection and the credentials, then run the same "
            "command again: what was computed is kept."
        ) from error
