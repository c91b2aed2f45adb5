"""A folder of images on this machine, by the rules of `tree.py`."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from vitrail.core.bounded import open_regular
from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.sources.local import read_file, read_listed, written
from vitrail.data.sources.manifest import FilesByName, list_rows
from vitrail.data.sources.table import check_rows, read_rows
from vitrail.data.sources.tree import Layout, find_layout, set_aside_unlisted
from vitrail.data.sources.walk import Parts, list_folder, walk, written_path

HEADER_BYTES = 1 << 16  # more than the first line of any manifest


class FolderSource:
    """Images in one folder a class, or listed in a manifest on top of their folders."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def name(self) -> str:
        """The folder's own name."""
        return written(self._root.resolve().name) or "data"

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """Every file under the folder with its label, or the reason why it has none.

        Raises:
            DataError: the folder cannot be listed, or the manifest in it cannot be used.
        """
        listing = cache(self._list_folder)  # a folder of many classes is slow to list
        layout = find_layout(listing, self._read_header, str(self._root))
        if layout.manifest is not None:
            yield from self._list_manifest(layout.root, layout.manifest)
        else:
            yield from self._list_classes(layout)

    def read(self, path: str) -> bytes:
        """The bytes of one file."""
        return read_listed(self._root, path)

    def _list_folder(self, parts: Parts) -> tuple[list[str], list[str]]:
        try:
            folders, files, _ = list_folder(self._root, parts)
        except OSError as error:
            if not parts:
                raise DataError(f"The folder {self._root} cannot be listed: {error.strerror}.") from error
            return [], []  # the walk says what is wrong with it
        return folders, files

    def _read_header(self, parts: Parts) -> bytes:
        """The part of a table that has the names of its columns."""
        path = self._root.joinpath(*parts)
        if path.suffix.lower() == ".parquet":
            return read_file(path)
        with open_regular(path) as file:
            return file.read(HEADER_BYTES)

    def _list_classes(self, layout: Layout) -> Iterator[ListedFile | SetAside]:
        for outside in walk(self._root, (), without=layout.classes):
            if isinstance(outside, SetAside):
                yield outside
            else:
                yield SetAside(path=written_path(outside), reason=layout.why_outside(outside))
        for folder, (label, split) in layout.classes.items():
            empty = True
            for parts in walk(self._root, folder):
                empty = False
                if isinstance(parts, SetAside):
                    yield parts
                else:
                    yield ListedFile(path=written_path(parts), label=label, split=split)
            if empty:
                yield SetAside(path=written_path(folder), reason="the folder of this class is empty")

    def _list_manifest(self, root: Parts, manifest: str) -> Iterator[ListedFile | SetAside]:
        folder, table = self._root.joinpath(*root), written_path((*root, manifest))
        try:
            rows = read_rows(read_file(folder / manifest), str(folder / manifest))
        except OSError as error:
            raise DataError(f"The manifest {folder / manifest} cannot be read: {error.strerror}.") from error
        check_rows(rows, str(folder / manifest))
        start = "".join(f"{written(part)}/" for part in root)
        listed = list_rows(rows, FilesByName(folder).find, table=table, folder=written(str(folder)), start=start)
        found = (each if isinstance(each, SetAside) else written_path(each) for each in walk(self._root, ()))
        yield from set_aside_unlisted(listed, found, table)
