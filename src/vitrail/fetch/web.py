"""One file from a web server, resumable: the bytes arrive in a partial file and are checked as they arrive.

An interrupted download continues where it stopped, even in another process. The caller holds a lock and moves the
partial file to its place; nothing here writes a file under its final name.
"""

import hashlib
import http.client
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vitrail.core.bounded import is_regular_file
from vitrail.core.errors import DownloadError
from vitrail.core.progress import Progress, running

TIMEOUT_S = 60.0  # without a byte
BLOCK_BYTES = 1 << 20
MOST_BYTES = 200_000_000_000  # of a file whose size neither its card nor the server states
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
PARTIAL, OK, NOT_SATISFIABLE = 206, 200, 416


@dataclass(frozen=True, kw_only=True, slots=True)
class WebFile:
    """What to fetch, and what is known about its bytes; an empty digest, or None as size, has not been stated.

    `what` names it in messages, as in "images.tar of stanford-dogs". `by_hand` ends a sentence: what a person without a
    connection can do.
    """

    what: str
    urls: tuple[str, ...]
    bytes: int | None
    sha256: str
    md5: str
    by_hand: str


class _UnreachableError(Exception):
    """An address does not give the file; another one may."""


class Digests:
    """The digests of a file whose bytes arrive in blocks: sha256, and md5 if it is published."""

    def __init__(self, file: WebFile) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if file.md5 else None

    def update(self, block: bytes) -> None:
        """Add a block."""
        self._sha256.update(block)
        if self._md5 is not None:
            self._md5.update(block)

    def add_file(self, path: Path) -> None:
        """Add a whole file; raises OSError."""
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                self.update(block)

    @property
    def sha256(self) -> str:
        """The sha256 so far."""
        return self._sha256.hexdigest()

    def find_fault(self) -> str:
        """Which published digest the bytes do not have, as a clause; empty if they have all."""
        md5 = self._md5.hexdigest() if self._md5 is not None else ""
        for kind, published, found in (("sha256", self._file.sha256, self.sha256), ("md5", self._file.md5, md5)):
            if published and published != found:
                return f"its {kind} is {found}, but {published} is published"
        return ""


def download(file: WebFile, part: Path, progress: Progress) -> str:
    """Complete the partial file `part` from the first address that gives it, and check its size and digest.

    Returns:
        The sha256 of the whole file.

    Raises:
        DownloadError: no address gives the file, it is not the published one, or the disk is full. What has arrived
            stays for the next time, unless it can never become the file.
    """
    if is_regular_file(part) and part.stat().st_size == file.bytes:  # stopped before the check
        digests = Digests(file)
        with _disk_errors(file, part):
            digests.add_file(part)
        if not digests.find_fault():
            return digests.sha256
        forget_part(part)
    failures = []
    for url in file.urls:
        try:
            return _download_from(url, file, part, progress)
        except _UnreachableError as error:
            failures.append(f"{urlsplit(url).netloc}: {error}")
    raise DownloadError(
        f"{file.what} could not be fetched ({'; '.join(failures)}): check the connection and your proxy and run the "
        f"same command again (it continues the download), or {file.by_hand}"
    )


def _download_from(url: str, file: WebFile, part: Path, progress: Progress) -> str:
    arrived = _resumable_bytes(part, file)
    with _open(url, arrived, part) as response:
        arrived, total = _read_start(response, arrived, file)
        _remember_etag(part, response)
        limit = total or file.bytes or MOST_BYTES
        with _disk_errors(file, part), part.open("ab" if arrived else "wb") as writer:
            _require_space(file, part, (total or file.bytes or 0) - arrived)
            digests = Digests(file)
            if arrived:
                digests.add_file(part)
            with running(progress, file.what, total=total or file.bytes, unit="bytes"):
                progress.advance(file.what, arrived)
                for block in _blocks(response):
                    arrived += len(block)
                    if arrived > limit:
                        break
                    writer.write(block)
                    digests.update(block)
                    progress.advance(file.what, len(block))
                writer.flush()
                os.fsync(writer.fileno())
                if arrived < (total or 0):
                    raise _UnreachableError(f"the connection was cut after {arrived:,} of {total:,} bytes")
    fault = f"it has more than {limit:,} bytes" if arrived > limit else digests.find_fault()
    if fault:
        forget_part(part)
        raise DownloadError(
            f"{file.what} arrived damaged, or {urlsplit(url).netloc} has other bytes now: {fault}. Vitrail deleted "
            f"what it fetched; run the same command again, or {file.by_hand}"
        )
    return digests.sha256


def forget_part(part: Path) -> None:
    """Delete a partial file and what is noted beside it.

    Raises:
        DownloadError: they cannot be deleted.
    """
    try:
        part.unlink(missing_ok=True)
        _etag_file(part).unlink(missing_ok=True)
    except OSError as error:
        raise DownloadError(
            f"The partial download {part} cannot be deleted ({error.strerror or error}). Delete it, and run the same "
            "command again."
        ) from error


def _resumable_bytes(part: Path, file: WebFile) -> int:
    """How much of the file has arrived. Without a digest, bytes of two versions could be joined unnoticed."""
    if not is_regular_file(part) or not (file.sha256 or file.md5 or is_regular_file(_etag_file(part))):
        return 0
    arrived = part.stat().st_size
    return arrived if arrived < (file.bytes or MOST_BYTES) else 0


def _open(url: str, arrived: int, part: Path) -> Any:
    """The response of a server, whose status says whether it continues a partial file."""
    headers = {"User-Agent": "vitrail", "Accept-Encoding": "identity"}
    if arrived:
        headers["Range"] = f"bytes={arrived}-"
        if is_regular_file(etag := _etag_file(part)):
            headers["If-Range"] = etag.read_text(encoding="ascii")
    # Only these: the usual opener also reads file: and ftp:, to which a server might redirect.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    try:
        return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)  # noqa: S310 - http(s)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == NOT_SATISFIABLE and arrived:
            forget_part(part)
            return _open(url, 0, part)
        raise _UnreachableError(f"status {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _UnreachableError(_say(error)) from error


def _read_start(response: Any, arrived: int, file: WebFile) -> tuple[int, int | None]:
    """Where the response begins in the file, and how long the file is, if the server says it."""
    if response.status == PARTIAL:
        match = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != arrived:
            raise _UnreachableError("it answers with another part of the file than it was asked for")
        start = arrived
        total: int | None = int(match[2])
    elif response.status == OK:
        length = response.headers.get("Content-Length", "")
        start, total = 0, int(length) if length.isdigit() else None
    else:
        raise _UnreachableError(f"status {response.status}")
    if file.bytes is not None and total is not None and total != file.bytes:
        raise _UnreachableError(f"it has {total:,} bytes under this name, but {file.bytes:,} are published")
    return start, total


def _blocks(response: Any) -> Iterator[bytes]:
    try:
        while block := response.read(BLOCK_BYTES):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise _UnreachableError(_say(error)) from error


def _require_space(file: WebFile, part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise DownloadError(
            f"{file.what} needs {needed / 1e9:,.1f} GB more, but {part.parent} has only {free / 1e9:,.1f} GB left: "
            "free some disk space, or choose another place with VITRAIL_CACHE."
        )


@contextmanager
def _disk_errors(file: WebFile, part: Path) -> Iterator[None]:
    """Turn what the disk refuses into a sentence."""
    try:
        yield
    except OSError as error:
        raise DownloadError(
            f"{file.what} could not be written to {part.parent} ({error.strerror or error}): free some disk space, or "
            "choose another place with VITRAIL_CACHE, and run the same command again."
        ) from error


def _remember_etag(part: Path, response: Any) -> None:
    """Note which version the partial file is of; a weak mark does not promise the same bytes."""
    etag = response.headers.get("ETag", "")
    if etag.startswith('"') and etag.isascii():
        _etag_file(part).write_text(etag, encoding="ascii")
    else:
        _etag_file(part).unlink(missing_ok=True)


def _etag_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _say(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    inner = reason if isinstance(reason, BaseException) else error
    return (getattr(inner, "strerror", None) or str(inner).strip() or type(inner).__name__).splitlines()[0]
