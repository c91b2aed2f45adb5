"""The files of a named data set under their official paths, in archives or in folders where they were unpacked."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from vitrail.core.bounded import is_folder, is_regular_file
from vitrail.core.errors import DataError
from vitrail.data.dataset import SetAside
from vitrail.data.sources.local import as_on_disk, read_file, read_listed, written
from vitrail.data.sources.ranges import FileRanges, inside
from vitrail.data.sources.tar import TarArchive
from vitrail.data.sources.walk import Parts, walk, written_path
from vitrail.data.sources.zip import ZipArchive


class FileTree(Protocol):
    """Files by their paths, which have forward slashes."""

    @property
    def where(self) -> str:
        """The name of all of them in errors."""

    @property
    def names(self) -> Collection[str]:
        """Their paths."""

    @property
    def aside(self) -> Sequence[SetAside]:
        """Members of an archive that are not read, such as links and paths that lead out of it."""

    def size(self, name: str) -> int:
        """The length of one file in bytes; raises OSError."""

    def read(self, name: str) -> bytes:
        """The bytes of one file; raises OSError."""

    def read_part(self, name: str, start: int, length: int) -> bytes:
        """`length` bytes of one file from `start`, fewer at its end; raises OSError."""


class FolderTree:
    """Files in a folder. Their paths are as a data set writes them."""

    def __init__(self, root: Path, tops: Iterable[str]) -> None:
        """List the files and folders on top that are named `tops`, and nothing beside them."""
        self.where = str(root)
        self._root = root
        folders = [top for top in tops if is_folder(root / top)]
        entries: list[Parts | SetAside] = [(top,) for top in tops if is_regular_file(root / top)]
        entries += [entry for folder in folders for entry in walk(root, (folder,))]
        self.aside = [entry for entry in entries if isinstance(entry, SetAside)]
        self.names = {written_path(entry) for entry in entries if not isinstance(entry, SetAside)}

    def size(self, name: str) -> int:
        """The length of one file in bytes; raises OSError."""
        return (self._root / as_on_disk(name)).stat().st_size

    def read(self, name: str) -> bytes:
        """The bytes of one file; raises OSError."""
        return read_listed(self._root, name)

    def read_part(self, name: str, start: int, length: int) -> bytes:
        """`length` bytes of one file from `start`, fewer at its end; raises OSError."""
        with (self._root / as_on_disk(name)).open("rb") as file:
            file.seek(start)
            return file.read(length)


class ArchiveTree:
    """Files in tar and zip archives, read in place, and files beside these archives."""

    def __init__(self, files: Mapping[str, Path], where: str) -> None:
        """List the archives.

        Args:
            files: each archive or file, by its official name.
            where: the data set's name in errors.

        Raises:
            DataError: an archive is damaged.
        """
        self.where = where
        self._place: dict[str, TarArchive | ZipArchive | Path] = {}  # of each file: its archive, or where it is
        self.aside: list[SetAside] = []
        for name, path in files.items():
            archive = _open(name, path)
            if archive is None:
                self._place[name] = path
                continue
            self.aside += archive.aside
            self._place |= dict.fromkeys(map(written, archive.members), archive)

    @property
    def names(self) -> Collection[str]:
        """The paths of all files."""
        return self._place.keys()

    def size(self, name: str) -> int:
        """The length of one file in bytes; raises OSError."""
        place = self._place.get(name)
        if place is None:
            raise OSError(0, "there is no such file")
        if isinstance(place, Path):
            return place.stat().st_size
        if isinstance(place, TarArchive):
            return place.members[as_on_disk(name)][1]
        return place.members[as_on_disk(name)].size

    def read(self, name: str) -> bytes:
        """The bytes of one file; raises OSError."""
        place = self._place.get(name)
        if place is None:
            raise OSError(0, "there is no such file")
        return read_file(place) if isinstance(place, Path) else place.read(as_on_disk(name))

    def read_part(self, name: str, start: int, length: int) -> bytes:
        """`length` bytes of one file from `start`, fewer at its end; raises OSError."""
        place = self._place.get(name)
        if isinstance(place, Path):
            with place.open("rb") as file:
                file.seek(start)
                return file.read(length)
        if isinstance(place, TarArchive):
            return place.read_part(as_on_disk(name), start, length)
        return self.read(name)[start : start + length]


class TreeRanges:
    """One file of a tree as `Ranges`, for an archive in an archive."""

    block = FileRanges.block

    def __init__(self, tree: FileTree, name: str) -> None:
        self._tree, self._name = tree, name
        self.size = tree.size(name)

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer at the end; raises OSError."""
        return self._tree.read_part(self._name, start, inside(start, length, self.size))


def _open(name: str, path: Path) -> TarArchive | ZipArchive | None:
    """An archive, known by the ending of its name; None for any other file."""
    ending = Path(name).suffix.lower()
    try:
        if ending == ".tar":
            return TarArchive(FileRanges(path), str(path))
        return ZipArchive(FileRanges(path), str(path)) if ending == ".zip" else None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def read_needed(tree: FileTree, name: str) -> bytes:
    """The bytes of a file without which a data set cannot be read; raises a DataError if it is missing."""
    try:
        if name in tree.names:
            return tree.read(name)
        reason = "there is no such file"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise DataError(f"{tree.where} cannot be read without {name} ({reason}): fetch its files again.")


def read_lines(tree: FileTree, name: str) -> list[list[str]]:
    """The words of each line of an official list that is not empty; raises a DataError if it cannot be read."""
    try:
        return [line.split() for line in read_needed(tree, name).decode().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{name} of {tree.where} is not a list in UTF-8: fetch its files again.") from error
