"""Where images come from. A new kind is a new file here, and a line in `open_file` or in `shards.py`."""

import os
import re
from functools import partial
from pathlib import Path

from vitrail.core.bounded import is_folder, is_regular_file, is_there
from vitrail.core.errors import DataError, UsageError
from vitrail.core.machine import expand_home
from vitrail.data.dataset import Source
from vitrail.data.sources.digits import DigitsSource
from vitrail.data.sources.folder import FolderSource
from vitrail.data.sources.kept import KeptDownloads
from vitrail.data.sources.manifest import ManifestSource
from vitrail.data.sources.parquet import ParquetSource
from vitrail.data.sources.ranges import FileRanges
from vitrail.data.sources.remote import Remote, RemoteFolder
from vitrail.data.sources.shards import expand_braces, open_archive, open_folder, open_shards
from vitrail.data.sources.tar import TarSource
from vitrail.data.sources.walk import list_folder
from vitrail.data.sources.zip import ZipSource

__all__ = [
    "DigitsSource",
    "FolderSource",
    "ManifestSource",
    "ParquetSource",
    "RemoteFolder",
    "TarSource",
    "ZipSource",
    "is_url",
    "open_file",
    "open_source",
]

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
LOCAL_URL = "file://"
KINDS = (
    "a folder with one folder of images per class, a manifest (.csv or .parquet), an archive (.zip, .tar, .tar.gz), "
    "WebDataset shards (a folder of them, or x-{000..009}.tar), Parquet with images, the URL of one of these "
    "(s3://bucket/images), a name that `vitrail datasets` lists, or hf:OWNER/NAME for one of the Hugging Face hub"
)


def is_url(data: str) -> bool:
    """Whether data lie behind a URL and not on a disk."""
    return URL.match(data) is not None


def open_source(data: str | Path | None, *, kept_bytes: int = 0, offline: bool = False) -> Source:
    """The source that a path or URL names; without one, scikit-learn's digits.

    Only its kind is determined: a folder, a manifest, an archive, shards. At most `kept_bytes` of the files at a URL
    are kept in memory between their first and second read.

    Raises:
        UsageError: the path does not exist, or is not of a known kind, or `offline` does not allow the URL.
        DataError: a server refuses to list it.
    """
    if data is None:
        return DigitsSource()
    if is_url(str(data)):
        if offline and not str(data).casefold().startswith(LOCAL_URL):
            raise UsageError(f"{data} is read over the network, which --offline does not allow: give a path instead.")
        try:
            source = _open_remote(str(data))
            return KeptDownloads(source, kept_bytes) if kept_bytes else source
        except OSError as error:
            raise DataError(
                f"{data} cannot be read: {error.strerror}. Check the address and your permissions."
            ) from error
    names = list(expand_braces(str(data)))
    if len(names) > 1 and not is_there(data):
        return _open_listed([expand_home(name) for name in names], str(data))
    path = expand_home(data)
    if not is_there(path):
        raise UsageError(f"There is nothing at {path}: give {KINDS}.")
    local = _open_folder(path) if is_folder(path) else open_file(path) if is_regular_file(path) else None
    if local is None:
        raise UsageError(f"{path} is not a data set that can be read: give {KINDS}.")
    return local


def open_file(path: Path) -> Source | None:
    """The source in a file, known by its ending; None if it is neither an archive nor a manifest.

    Raises:
        DataError: it has the ending of one and cannot be read.
    """
    try:
        source = open_archive(str(path), partial(FileRanges, path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if source is None and path.suffix.lower() in {".csv", ".tsv", ".parquet"}:
        return ManifestSource(path)
    return source


def _open_folder(path: Path) -> Source:
    """Shards, if the folder (or its folder `data`, as at Hugging Face) has nothing else."""
    return _shards_in(path) or FolderSource(path)


def _shards_in(path: Path) -> Source | None:
    try:
        folders, files, _ = list_folder(path)
        if folders == ["data"]:
            files += [f"data/{name}" for name in list_folder(path, ("data",))[1]]
        elif folders:
            return None
        return open_folder({name: partial(FileRanges, path / name) for name in files}, str(path))
    except OSError:
        return None  # the folder says better what is wrong with it


def _open_listed(paths: list[Path], pattern: str) -> Source:
    missing = [path for path in paths if not is_regular_file(path)]
    if missing:
        raise UsageError(f"The shard {missing[0]} of {pattern} does not exist: check the numbers in braces.")
    top = os.path.commonpath([path.parent for path in paths])
    files = {path.relative_to(top).as_posix(): partial(FileRanges, path) for path in paths}
    source = open_shards(files, re.sub(r"[-_.]?\{.*", "", pattern))
    if source is None:
        raise UsageError(f"No shard of {pattern} can be read: give .tar or .parquet files.")
    return source


def _open_remote(url: str) -> Source:
    remote = Remote(url)
    if not remote.is_file:
        names = remote.sizes()
        shards = open_folder({name: partial(remote.ranges, name) for name in names}, remote.url)
        return shards or RemoteFolder(remote)
    source = open_archive(remote.url, remote.ranges)
    if source is None:
        raise UsageError(
            f"{remote.url} is not a data set that Vitrail can read from a URL: give a folder with one folder of images "
            "per class, an archive (.zip, .tar, .tar.gz), or Parquet with images."
        )
    return source
