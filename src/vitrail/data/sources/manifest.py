"""Images listed in a table: `table.py` describes the form of a manifest. Paths are relative to it."""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath

from vitrail.core.bounded import is_regular_file
from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.sources.folder import SPLIT_WORDS
from vitrail.data.sources.local import class_name, read_listed, written
from vitrail.data.sources.table import Row, check_rows, read_rows


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
        check_rows(self._rows, str(self._path))
        for row in self._rows:
            if row.fault:
                yield SetAside(path=f"{written(self._path.name)}, row {row.number}", reason=row.fault)
                continue
            where, on_disk = self._locate(row.path)
            if not is_regular_file(on_disk):
                yield SetAside(
                    path=where, reason=f"row {row.number} of {self._path.name} names it, but there is no such file"
                )
                continue
            split = SPLIT_WORDS[row.split.lower()] if row.split else None
            yield ListedFile(
                path=where, label=class_name(row.label), split=split, group=row.group or None, further=row.further
            )

    def read(self, path: str) -> bytes:
        """The bytes of one file."""
        return read_listed(self._path.parent, path)

    @cached_property
    def _rows(self) -> list[Row]:
        try:
            content = self._path.read_bytes()
        except OSError as error:
            raise DataError(f"The manifest {self._path} cannot be read: {error.strerror}.") from error
        return read_rows(content, str(self._path))

    def _locate(self, given: str) -> tuple[str, Path]:
        """The path as the data set writes it, and where it lies."""
        folder = self._path.parent
        if "\\" in given and not is_regular_file(folder / given):
            given = given.replace("\\", "/")  # the table was made on Windows
        path = PurePath(given)
        relative = PurePath(os.path.relpath(path, folder.resolve())) if path.is_absolute() else path
        return written(str(PurePosixPath(*relative.parts))), folder / path
