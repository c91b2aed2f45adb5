"""Images listed in a table: `table.py` describes the form of a manifest. Paths are relative to its folder.

A file is found under the path as it is written; else without outer spaces, or with Windows' backslashes as slashes;
else under the one name that reads the same, since a Mac writes accents in another form than most spreadsheets.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath

from vitrail.core.bounded import is_regular_file, is_there, read_bounded
from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.sources.local import read_listed, written
from vitrail.data.sources.split_words import SPLIT_WORDS
from vitrail.data.sources.table import (
    MOST_TABLE_BYTES,
    REQUIRED,
    Row,
    check_paths,
    check_rows,
    lists_images,
    read_rows,
)
from vitrail.data.text_identity import normalise


class ManifestSource:
    """Images listed in a CSV or Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return written(self._path.stem)

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """One file a row, set aside where its file is missing; DataError if the table cannot be used."""
        rows = self._read_rows(REQUIRED)
        check_rows(rows, str(self._path))
        yield from self._list_rows(rows)

    def list_new(self) -> Iterator[ListedFile | SetAside]:
        """The same for images that are predicted: only the path is needed, and a label may be "".

        Splits are not read: whatever the table says, these images are new.
        """
        rows = self._read_rows(("path",))
        check_paths(rows, str(self._path))
        yield from self._list_rows([replace(row, split="") for row in rows])

    def read(self, path: str) -> bytes:
        """The bytes of one file."""
        return read_listed(self._path.parent, path)

    def _list_rows(self, rows: Sequence[Row]) -> Iterator[ListedFile | SetAside]:
        folder = self._path.parent
        return list_rows(rows, FilesByName(folder).find, table=written(self._path.name), folder=written(str(folder)))

    def _read_rows(self, required: Sequence[str]) -> list[Row]:
        try:
            content = read_bounded(self._path, MOST_TABLE_BYTES)
        except OSError as error:
            raise DataError(f"The manifest {self._path} cannot be read: {error.strerror}.") from error
        return read_rows(content, str(self._path), required)


class FilesByName:
    """Finds the files of a folder by the paths in a manifest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._alike: dict[str, dict[str, list[str]]] = {}  # by folder, its names by their normalised form

    def find(self, given: str) -> str | None:
        """The path of a file below the folder as a data set writes it; None if there is no such file."""
        for spelling in spellings(given):
            if is_regular_file(self._folder / spelling):
                return self._below(PurePath(spelling))
        alike = self._find_alike(PurePath(spellings(given)[-1]))
        return None if alike is None else self._below(alike)

    def _find_alike(self, path: PurePath) -> PurePath | None:
        here = PurePath(path.anchor)
        for part in path.parts[1:] if path.anchor else path.parts:
            if is_there(self._folder / here / part):
                here /= part
                continue
            names = self._names_in(str(self._folder / here)).get(normalise(part), [])
            if len(names) != 1:
                return None
            here /= names[0]
        return here if is_regular_file(self._folder / here) else None

    def _names_in(self, folder: str) -> Mapping[str, list[str]]:
        if folder not in self._alike:
            self._alike[folder] = {}
            with suppress(OSError, ValueError):  # a folder that is not there has no names
                for path in Path(folder).iterdir():
                    self._alike[folder].setdefault(normalise(path.name), []).append(path.name)
        return self._alike[folder]

    def _below(self, path: PurePath) -> str:
        relative = PurePath(os.path.relpath(path, self._folder.resolve())) if path.is_absolute() else path
        return written(str(PurePosixPath(*relative.parts)))


def spellings(given: str) -> list[str]:
    """The ways in which a path of a manifest may be meant, the literal one first."""
    return list(dict.fromkeys((given, given.strip(), given.replace("\\", "/"), given.strip().replace("\\", "/"))))


def choose_manifest(tables: Mapping[str, bytes], where: str) -> str | None:
    """The name of the manifest among the tables on top of a folder or an archive, if one is there.

    Args:
        tables: the content of each, by its name.
        where: the folder or archive, in errors.

    Raises:
        DataError: there are several.
    """
    manifests = [name for name, content in tables.items() if lists_images(content, name)]
    if len(manifests) > 1:
        both = " and ".join(map(written, manifests))
        raise DataError(f"{where} holds more than one manifest, {both}: keep only one of them.")
    return manifests[0] if manifests else None


def list_rows(
    rows: Sequence[Row], find: Callable[[str], str | None], *, table: str, folder: str, start: str = ""
) -> Iterator[ListedFile | SetAside]:
    """One file a row, set aside where there is no such file.

    Args:
        rows: those of the manifest, checked.
        find: gives the path of a file below the manifest's folder by the path in the manifest.
        table: the manifest's name.
        folder: the manifest's folder, which its paths are relative to.
        start: the path of that folder in the data set, with a slash at the end, or "".
    """
    for row in rows:
        if row.fault:
            yield SetAside(path=f"{start}{table}, row {row.number}", reason=row.fault)
            continue
        path = find(row.path)
        if path is None:
            reason = f"row {row.number} of {table} names it, but there is no such file: paths are relative to {folder}"
            yield SetAside(path=start + written(spellings(row.path)[-1]), reason=reason)
            continue
        split = SPLIT_WORDS[row.split.lower()] if row.split else None
        yield ListedFile(path=start + path, label=row.label, split=split, group=row.group or None, further=row.further)
