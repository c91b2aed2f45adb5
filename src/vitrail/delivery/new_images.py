"""The images to predict, from whatever a person gives: files, folders, patterns, data sets, and lists of paths.

What `vitrail bench` reads is read here by the same code, with its labels. An image without a label is predicted all the
same. This module needs no torch.
"""

import glob
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from os import fsdecode
from pathlib import Path
from shutil import copyfileobj
from typing import IO, BinaryIO

from vitrail.core.bounded import is_folder, is_regular_file, is_there
from vitrail.core.resources import Resources
from vitrail.data import ImageRejected, SetAside, Source, find_named, is_hub_set, is_url, open_data, open_source
from vitrail.data.dataset import Caution
from vitrail.data.sources import ManifestSource, open_file
from vitrail.data.sources.local import written
from vitrail.data.sources.shards import BRACES

BLOCK = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # which PowerShell may write before a list


@dataclass(frozen=True, slots=True)
class InSource:
    """An image of a data set; `reason` says why it has no label there, or "" if it has one."""

    source: Source
    path: str
    reason: str = ""

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            ImageRejected: there are none.
            LookupError: the source does not have the path.
            ValueError: the same.
        """
        try:
            return self.source.read(self.path)
        except OSError as error:
            why = self.reason or f"it cannot be read: {error.strerror or type(error).__name__}"
            raise ImageRejected(why) from error
        except (LookupError, ValueError) as error:
            if not self.reason:
                raise
            raise ImageRejected(self.reason) from error  # what was set aside may not be a file at all


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to predict, with the name of its prediction and what the data say of it."""

    name: str
    content: InSource | Path | SetAside
    label: str | None = None
    group: str | None = None


def list_new_images(given: str | Path, resources: Resources) -> Iterator[NewImage]:
    """The images that a person means by one text or path.

    A path that exists is a folder (every file in and below it, or every image of its shards), an archive, a manifest or
    an image. A Path is never anything else. A text may also be a URL, the name of a data set, shards (x-{000..009}.tar)
    or a pattern such as photos/*.jpg.

    Raises:
        UsageError: a name is almost that of a data set, or the network may not be used.
        DataError: a manifest or an archive is damaged.
    """
    if is_folder(given):
        yield from _list_source(open_source(Path(given)), f"{written(str(Path(given)))}/", resources)
    elif is_regular_file(given):
        source = open_file(Path(given))
        if source is None:
            yield NewImage(written(str(given)), Path(given))
        else:
            # The paths of a manifest stay as they are, so that its rows can be joined with the predictions.
            start = "" if isinstance(source, ManifestSource) else f"{written(str(given))}/"
            yield from _list_source(source, start, resources)
    elif isinstance(given, Path) or is_there(given):
        yield NewImage(written(str(given)), Path(given))
    elif is_url(given) or is_hub_set(given) or BRACES.search(given) or find_named(given):
        yield from _list_source(open_data(given, resources), f"{written(given)}/", resources)
    elif glob.has_magic(given) and "\0" not in given:
        yield from _list_pattern(given, resources)
    else:
        yield NewImage(written(given), Path(given))


def read_list(stream: BinaryIO) -> Iterator[Path]:
    """The paths in a list, one a line, or with a zero byte after each as `find -print0` writes them.

    No path holds a zero byte, so one anywhere means that the list is separated by them. The whole list is put into a
    temporary file before this returns: it may be longer than the memory, and what waits for it here, in the main
    thread, can be interrupted.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the paths have been read
    copyfileobj(stream, file, BLOCK)
    return _read_names(file)


def _read_names(file: IO[bytes]) -> Iterator[Path]:
    with file:
        file.seek(0)
        zeros = any(b"\0" in block for block in iter(lambda: file.read(BLOCK), b""))
        file.seek(len(BYTE_ORDER_MARK) if _begins_with_mark(file) else 0)
        for name in _split(file, b"\0") if zeros else (line.rstrip(b"\r\n") for line in file):
            if name:
                yield Path(fsdecode(name))


def _begins_with_mark(file: IO[bytes]) -> bool:
    file.seek(0)
    return file.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK


def _split(file: IO[bytes], separator: bytes) -> Iterator[bytes]:
    rest = b""
    while block := file.read(BLOCK):
        *names, rest = (rest + block).split(separator)
        yield from names
    yield rest


def _list_pattern(pattern: str, resources: Resources) -> Iterator[NewImage]:
    paths = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path's globs take no absolute pattern
    for path in paths:
        if "**" not in pattern or not is_folder(path):  # its files match as well
            yield from list_new_images(Path(path), resources)
    if not paths:
        yield NewImage(written(pattern), SetAside(path=pattern, reason="no file matches this pattern"))


def _list_source(source: Source, start: str, resources: Resources) -> Iterator[NewImage]:
    """Every file of a data set; one without a label is an image too, unless it cannot be read."""
    listed = source.list_new() if isinstance(source, ManifestSource) else source.list_files()
    for file in listed:
        if isinstance(file, Caution):
            resources.progress.note(file.text)
        elif isinstance(file, SetAside):
            yield NewImage(start + file.path, InSource(source, file.path, file.reason))
        else:
            yield NewImage(start + file.path, InSource(source, file.path), file.label or None, file.group)
