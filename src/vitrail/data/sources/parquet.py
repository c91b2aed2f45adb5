"""Parquet files that hold the images themselves; `parquet_files.py` describes them, and runs in another process."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.sources.local import as_on_disk, written
from vitrail.data.sources.parquet_process import PROCESS, ParquetCrashError
from vitrail.data.sources.ranges import Ranges, keep_few_open
from vitrail.data.sources.webdataset import split_of_shard

ROW = re.compile(r"(.*?)/(\d{8,})(/[^/]*)?")
NUMBERS = itertools.count()


class ParquetSource:
    """Images in Parquet files."""

    def __init__(self, files: Mapping[str, Callable[[], Ranges]], where: str) -> None:
        """Nothing is read yet.

        Args:
            files: a function that opens each file, by its name.
            where: the name of all of them together.
        """
        self._files = keep_few_open(dict(sorted(files.items())))
        self._where = where
        self._number = next(NUMBERS)
        self._crashed: dict[str, str] = {}  # the reason, by the name of a file that is not tried again

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return written(PurePosixPath(self._where).name.removesuffix(".parquet")) or "data"

    def holds_images(self) -> bool:
        """Whether its first file has a column of images, rather than being a manifest, or nothing that is read.

        Raises:
            OSError: the file cannot be opened.
        """
        name = next(iter(self._files))
        self._open(name)
        try:
            ((answer, _),) = PROCESS.call({"do": "holds_images", "source": self._number, "name": name}, self._open)
        except ParquetCrashError:
            return False
        return bool(answer["value"])

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """One file a row, set aside where it has no label; DataError if a file cannot be used."""
        splits = [split_of_shard(name) for name in self._files]
        for name, split in zip(self._files, splits, strict=True):
            request = {"do": "list", "source": self._number, "name": name, "split": split if all(splits) else None}
            try:
                answers = PROCESS.call(request, self._open)
            except OSError as error:
                raise DataError(f"{name} cannot be read as Parquet: {error.strerror}.") from error
            for answer, _ in answers:
                for row in answer["value"]:
                    yield SetAside(**row) if "reason" in row else ListedFile(**row)

    def read(self, path: str) -> bytes:
        """The image of one row; raises OSError if there is none or the file cannot be read."""
        match = ROW.fullmatch(path)
        if match is None:
            raise OSError(0, "it is not a row of a Parquet file")
        name = as_on_disk(match[1])
        if name in self._crashed:
            raise OSError(0, self._crashed[name])
        request = {"do": "read", "source": self._number, "name": name, "row": int(match[2])}
        try:
            ((_, content),) = PROCESS.call(request, self._open)
        except ParquetCrashError as error:
            self._crashed[name] = str(error.strerror)
            raise
        return content

    def _open(self, name: str) -> Ranges:
        return self._files[name]()
