"""From a source to the examples: read each file once, know it by its bytes, keep none of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from vitrail.core.errors import DataError
from vitrail.core.hashing import fingerprint, sha256_bytes
from vitrail.core.machine import usable_cores
from vitrail.core.progress import Progress
from vitrail.data.cautions import cautions
from vitrail.data.dataset import EXAMPLE_SCHEMA, Dataset, Entry, SetAside, Source
from vitrail.data.duplicates import Example, merge
from vitrail.data.images import ImageRejected, inspect

MAX_PIXELS = 100_000_000
TASK = "Reading files"
BATCH = 64  # files a task: fewer would spend the time on handing over


@dataclass(frozen=True, slots=True)
class Listed:
    """What reading one file left behind."""

    digest: str
    entry: Entry
    animated: bool


def load(source: Source, *, max_pixels: int = MAX_PIXELS, progress: Progress) -> Dataset:
    """Read every file of a source once and make the examples.

    Args:
        source: where the files come from.
        max_pixels: images with more pixels are set aside.
        progress: hears of every file.

    Returns:
        The examples, without having decoded any; what was set aside, and what to be warned of.

    Raises:
        DataError: there is no file, or none that can be used.
    """
    listing = list(source.entries())
    entries = [found for found in listing if isinstance(found, Entry)]
    set_aside = [found for found in listing if isinstance(found, SetAside)]
    read: list[Listed] = []
    for found in _read_all(source, entries, max_pixels, progress):
        if isinstance(found, SetAside):
            set_aside.append(found)
        else:
            read.append(found)
    examples, conflicts, duplicates = merge([(found.digest, found.entry) for found in read])
    set_aside = sorted(set_aside + conflicts, key=lambda aside: (aside.path, aside.reason))
    if not examples:
        raise DataError(_nothing_left(source, set_aside))
    classes = tuple(sorted({entry.label for entry in entries}))
    table = _table(examples, classes)
    return Dataset(
        name=source.name,
        table=table,
        classes=classes,
        set_aside=tuple(set_aside),
        warnings=tuple(cautions(examples, duplicates, animations=sum(found.animated for found in read))),
        fingerprint=_fingerprint(table, classes),
        source=source,
        duplicates=duplicates.as_counts(),
    )


def _read_all(
    source: Source, entries: Sequence[Entry], max_pixels: int, progress: Progress
) -> Iterator[Listed | SetAside]:
    def read_batch(start: int) -> list[Listed | SetAside]:
        found = [_read(source, entry, max_pixels) for entry in entries[start : start + BATCH]]
        progress.advance(TASK, len(found))
        return found

    progress.start(TASK, total=len(entries), unit="files")
    pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="read")
    try:
        for batch in pool.map(read_batch, range(0, len(entries), BATCH)):
            yield from batch
    finally:
        pool.shutdown(cancel_futures=True)
        progress.done(TASK)


def _read(source: Source, entry: Entry, max_pixels: int) -> Listed | SetAside:
    try:
        data = source.read(entry.path)
        header = inspect(data, max_pixels=max_pixels)
    except ImageRejected as error:
        return SetAside(path=entry.path, reason=error.reason)
    except OSError as error:
        return SetAside(path=entry.path, reason=f"it cannot be read: {error.strerror or type(error).__name__}")
    return Listed(sha256_bytes(data), entry, header.animated)


def _nothing_left(source: Source, set_aside: Sequence[SetAside]) -> str:
    if not set_aside:
        return f"There are no images in {source.name}: put them into one folder a class, or list them in a manifest."
    reason, count = Counter(aside.reason for aside in set_aside).most_common(1)[0]
    example = next(aside.path for aside in set_aside if aside.reason == reason)
    others = f", as are {count - 1} more" if count > 1 else ""
    return (
        f"None of the {len(set_aside)} things found in {source.name} can be used: {example}, for one{others}, "
        f"is set aside because {reason}. Give images, in one folder a class or listed in a manifest."
    )


def _table(examples: Sequence[Example], classes: Sequence[str]) -> pa.Table:
    index = {name: number for number, name in enumerate(classes)}
    return pa.table(
        {
            "id": [example.id for example in examples],
            "paths": [list(example.paths) for example in examples],
            "label": [index[example.label] for example in examples],
            "group": [example.group for example in examples],
            "given_split": [example.split for example in examples],
        },
        schema=EXAMPLE_SCHEMA,
    )


def _fingerprint(table: pa.Table, classes: Sequence[str]) -> str:
    columns = ("id", "label", "group", "given_split")
    return fingerprint({"classes": list(classes)} | {name: table.column(name).to_pylist() for name in columns})
