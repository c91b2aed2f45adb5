"""Tar archives, one or several, read in place: nothing is unpacked to disk.

    x.tar, x.tar.gz              labels by the rules of `tree.py`, or of `webdataset.py` where samples lie inside
    shards-000.tar, -001.tar     WebDataset shards
    cat.tar, dog.tar             an archive is a folder: its name is the label, or train, val, test

Of compressed archives only gzip is supported: the others cannot be read from the middle.
"""

import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import PurePosixPath

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.in_flight import FILES
from vitrail.data.sources.clutter import is_clutter
from vitrail.data.sources.gzipped import GzipRanges
from vitrail.data.sources.local import MAX_FILE_BYTES, as_on_disk, written
from vitrail.data.sources.ranges import Ranges, as_file, inside
from vitrail.data.sources.tree import list_names, why_not_inside
from vitrail.data.sources.webdataset import holds_samples, list_samples, split_of_shard

MOST_HEADER_BYTES = 1 << 20  # of one member; an extended header is read whole, and may claim any length
MOST_LABEL_BYTES = 1 << 20  # of a sample's .cls or .json
ENDING = re.compile(r"\.(tar|tar\.gz|tgz|tar\.bz2|tar\.xz|tar\.zst)$", re.IGNORECASE)
NUMBERED = re.compile(r"\d/")
GZIP, OTHERS = b"\x1f\x8b", ((b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))


class TarArchive:
    """One archive: where each of its files lies."""

    def __init__(self, ranges: Ranges, where: str) -> None:
        """List it; `where` is its name in errors.

        Raises:
            DataError: it is damaged, or compressed in a way that is not read.
        """
        start = ranges.read_at(0, 8)
        for signature, method in OTHERS:
            if start.startswith(signature):
                raise DataError(
                    f"{where} is compressed with {method}, and Vitrail cannot read single files from that: unpack it "
                    "to a .tar, or pack it with gzip."
                )
        self._ranges = GzipRanges(ranges, where) if start.startswith(GZIP) else ranges
        self.members: dict[str, tuple[int, int]] = {}  # where it starts, and how long it is
        self.aside: list[SetAside] = []
        try:
            with tarfile.open(fileobj=as_file(self._ranges, most=MOST_HEADER_BYTES), mode="r:") as archive:
                for info in archive:
                    self._take(info)
                    archive.members = []  # type: ignore[attr-defined]  # else each header is kept, a kilobyte
                self._check_end(archive.offset)
        except (tarfile.TarError, OSError, ValueError, EOFError) as error:
            raise DataError(
                f"{where} cannot be read as a tar archive ({error}): it was probably cut off or damaged in "
                "transfer; fetch it again."
            ) from error

    def read(self, name: str) -> bytes:
        """The bytes of one file; raises OSError."""
        start, size = self.members[name]
        FILES.take(size)
        content = self._ranges.read_at(start, size)
        if len(content) < size:
            raise OSError(0, "the archive ends before this file does")
        return content

    def read_label(self, name: str) -> bytes:
        """The bytes of a file that holds a label; raises OSError if it is longer than any label."""
        if self.members[name][1] > MOST_LABEL_BYTES:
            raise OSError(0, "it is longer than any label")
        return self.read(name)

    def read_part(self, name: str, start: int, length: int) -> bytes:
        """`length` bytes of one file from `start`, fewer at its end; raises OSError."""
        offset, size = self.members[name]
        return self._ranges.read_at(offset + start, inside(start, length, size))

    def _check_end(self, offset: int) -> None:
        """A header that is cut off or damaged is taken for the end by tarfile, which says nothing."""
        if any(self._ranges.read_at(offset, tarfile.BLOCKSIZE)):
            raise tarfile.ReadError(f"no valid header at byte {offset:,}")

    def _take(self, info: tarfile.TarInfo) -> None:
        name = info.name.removeprefix("./")
        if info.isdir() or is_clutter(name):
            return
        if reason := _why_not(info):
            self.aside.append(SetAside(path=written(name), reason=reason))
            return
        if name in self.members:
            reason = "the archive holds this name more than once: its last file is used"
            self.aside.append(SetAside(path=written(name), reason=reason))
        self.members[name] = info.offset_data, info.size


class TarSource:
    """Images in one tar archive or several."""

    def __init__(self, archives: Mapping[str, Callable[[], Ranges]], where: str) -> None:
        """Nothing is read yet.

        Args:
            archives: a function that opens each archive, by its name, each in as many folders as the others.
            where: the name of all of them together.
        """
        self._unopened, self._where = archives, where

    @property
    def name(self) -> str:
        """The archive's name without its endings."""
        return written(stem(PurePosixPath(self._where).name)) or "data"

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """Every file with its label, or the reason why it has none; DataError if an archive is damaged."""
        for prefix, archive in self._archives.items():
            for aside in archive.aside:
                yield SetAside(path=written(prefix) + aside.path, reason=aside.reason)
        if all(holds_samples(archive.members) for archive in self._archives.values()):
            splits = [split_of_shard(name) for name in sorted(self._unopened)]
            for (prefix, archive), split in zip(self._archives.items(), splits, strict=True):
                yield from list_samples(archive.members, archive.read_label, prefix, split if all(splits) else None)
            return
        if len(self._archives) > 1 and all(NUMBERED.search(prefix) for prefix in self._archives):
            raise DataError(
                f"The numbered archives of {self._where} hold no samples with labels: a WebDataset shard has a .cls or "
                ".json beside each image. Give one archive with a folder per class, or one archive per class."
            )
        names = [prefix + name for prefix, archive in self._archives.items() for name in archive.members]
        yield from list_names(names, self._where, self._member)

    def read(self, path: str) -> bytes:
        """The bytes of one file; raises OSError."""
        return self._member(as_on_disk(path))

    def _member(self, name: str) -> bytes:
        depth = next(iter(self._archives)).count("/")
        *shard, inside = name.split("/", depth)
        return self._archives["".join(f"{folder}/" for folder in shard)].read(inside)

    @cached_property
    def _archives(self) -> dict[str, TarArchive]:
        """Each archive by what its paths begin with: nothing where there is one, else its name as a folder."""
        if len(self._unopened) == 1:
            (opened,) = self._unopened.values()
            return {"": TarArchive(opened(), self._where)}
        prefixes = [stem(name) + "/" for name in self._unopened]
        twice = sorted(prefix for prefix in set(prefixes) if prefixes.count(prefix) > 1)
        if twice:
            raise DataError(f"{self._where} holds the archive {twice[0][:-1]} in two forms: keep one of them.")
        return {stem(name) + "/": TarArchive(self._unopened[name](), name) for name in sorted(self._unopened)}


def stem(name: str) -> str:
    """An archive's name without its endings."""
    return ENDING.sub("", name)


def _why_not(info: tarfile.TarInfo) -> str | None:
    if reason := why_not_inside(info.name):
        return reason
    if info.issym() or info.islnk():
        return "it is a link, which is not followed inside an archive"
    if not info.isreg() or info.issparse():
        return "it is not a regular file"
    if info.size > MAX_FILE_BYTES:
        return f"it is larger than any image ({info.size / 1e9:.1f} GB)"
    return None
