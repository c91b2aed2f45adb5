"""Which of the kinds of archives some files are, wherever they lie: one place for local files and for URLs."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

from vitrail.core.errors import UsageError
from vitrail.data.dataset import Source
from vitrail.data.sources.clutter import is_clutter
from vitrail.data.sources.parquet import ParquetSource
from vitrail.data.sources.ranges import Ranges, keep_few_open
from vitrail.data.sources.tar import ENDING as TAR
from vitrail.data.sources.tar import TarSource
from vitrail.data.sources.zip import ZipSource

BRACES = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")
MOST_SHARDS = 100_000  # of one pattern
PAPERS = frozenset({".md", ".txt", ".json", ".yaml", ".yml", ""})  # files beside shards that describe them

Opener = Callable[[], Ranges]


def open_archive(name: str, opened: Opener) -> Source | None:
    """The source in one file or URL, known by its ending; None if it is not an archive.

    Reads only enough to distinguish a Parquet file of images from a manifest.
    """
    if name.lower().endswith(".zip"):
        return ZipSource(opened(), name)
    if TAR.search(name):
        return TarSource({PurePosixPath(name).name: opened}, name)
    if name.lower().endswith(".parquet"):
        source = ParquetSource({PurePosixPath(name).name: opened}, name)
        return source if source.holds_images() else None
    return None


def open_folder(files: Mapping[str, Opener], where: str) -> Source | None:
    """The source in a folder of shards, or None if it is a folder of anything else.

    Args:
        files: a function that opens each file of the folder, by its name below it.
        where: the folder's name.
    """
    shards = {
        name: opened
        for name, opened in files.items()
        if not is_clutter(name) and PurePosixPath(name).suffix.lower() not in PAPERS
    }
    if any(TAR.search(name) and "/" in name for name in shards):
        return None
    return open_shards(shards, where)


def open_shards(shards: Mapping[str, Opener], where: str) -> Source | None:
    """The source in several files: tar archives, or Parquet files of images; None for all else.

    Args:
        shards: a function that opens each file, by its name, each in as many folders as the others.
        where: the name of all of them together.
    """
    if shards and all(TAR.search(name) for name in shards):
        return TarSource(keep_few_open(shards), where)
    if shards and all(name.lower().endswith(".parquet") for name in shards):
        source = ParquetSource(shards, where)
        return source if source.holds_images() else None
    return None


def expand_braces(pattern: str) -> Iterator[str]:
    """The names in a pattern with numbers in braces: x-{000..002}.tar means three; without braces the name itself.

    Raises:
        UsageError: there are more than MOST_SHARDS.
    """
    count = math.prod(max(0, int(last) - int(first) + 1) for first, last in BRACES.findall(pattern))
    if count > MOST_SHARDS:
        raise UsageError(f"{pattern} names {count:,} shards, more than {MOST_SHARDS:,}: check the numbers in braces.")
    match = BRACES.search(pattern)
    if match is None:
        yield pattern
        return
    first, last = match[1], match[2]
    for number in range(int(first), int(last) + 1):
        yield from expand_braces(f"{pattern[: match.start()]}{number:0{len(first)}d}{pattern[match.end() :]}")
