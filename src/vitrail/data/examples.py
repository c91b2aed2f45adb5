"""From a source to the examples: each file is read once and identified by its bytes, which are not kept."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.core.errors import DataError
from vitrail.core.hashing import ROWS_AT_ONCE, SHA256_LETTERS, sha256_bytes
from vitrail.core.progress import Progress, running
from vitrail.core.resources import Resources
from vitrail.core.threads import ThreadPool
from vitrail.data.cautions import find_cautions
from vitrail.data.columns import FurtherColumns, require_columns
from vitrail.data.dataset import EXAMPLE_SCHEMA, Dataset, ListedFile, SetAside, Source, fingerprint_of
from vitrail.data.duplicates import Example, merge
from vitrail.data.file_list import FileList
from vitrail.data.formats import pillow_is_quiet
from vitrail.data.images import Header, ImageRejected, inspect
from vitrail.data.in_flight import one_item
from vitrail.data.left_alone import LeftAlone

MAX_PIXELS = 100_000_000
TASK = "Reading files"
PROGRESS_FILES = 64  # reported at once
DIGEST = f"S{SHA256_LETTERS // 2}"  # a sha256 in bytes; numpy orders them as their hexadecimal digits


def load(
    source: Source,
    *,
    max_pixels: int = MAX_PIXELS,
    columns: Sequence[str] = (),
    resources: Resources | None = None,
) -> Dataset:
    """Read every file of a source once and make the examples, decoding none of them.

    Images with more than `max_pixels` are set aside. `columns` are further columns that the manifest must have.

    Raises:
        UsageError: the manifest lacks a column. No image has been read yet.
        DataError: there are no files, or none can be used.
    """
    resources = resources or Resources()
    set_aside: list[SetAside] = []
    cautions: list[str] = []
    further, left_alone = FurtherColumns(), LeftAlone()
    files = FileList(left_alone.note(further.note(_usable(source, set_aside, cautions))))
    if len(files):
        require_columns(further.names, columns, source.name)
    reading = _Reading(source, files, max_pixels, resources.progress)
    reading.run(resources.reading_threads)
    plain, others = _apart(reading.digest_N, files)
    merged, conflicts, duplicates = merge(others)
    set_aside = sorted(set_aside + reading.set_aside + conflicts, key=lambda aside: (aside.path, aside.reason))
    if not len(plain) and not merged:
        raise DataError(_nothing_left(source, set_aside))
    classes = tuple(sorted(files.labels))
    table = _table(plain, reading, files, merged, classes)
    sizes = Counter(files.labels_of(plain)) + Counter(example.label for example in merged)
    cautions += left_alone.find_cautions(further)
    cautions += find_cautions(sizes, duplicates, animations=reading.animated)
    return Dataset(
        name=source.name,
        table=further.attach(table, reading.digest_N),
        classes=classes,
        set_aside=tuple(set_aside),
        warnings=tuple(cautions),
        fingerprint=fingerprint_of(table, classes),
        source=source,
        duplicates=duplicates.as_counts(),
    )


def _usable(source: Source, set_aside: list[SetAside], cautions: list[str]) -> Iterator[ListedFile]:
    """The files of a source; what it sets aside or warns of is appended."""
    for listed in source.list_files():
        if isinstance(listed, ListedFile):
            yield listed
        elif isinstance(listed, SetAside):
            set_aside.append(listed)
        else:
            cautions.append(listed.text)


class _Reading:
    """The threads that read every file once. Each takes the next file, so an archive is read in its own order."""

    def __init__(self, source: Source, files: FileList, max_pixels: int, progress: Progress) -> None:
        self._source, self._files, self._max_pixels, self._progress = source, files, max_pixels, progress
        self._numbers = iter(range(len(files)))
        self._lock = threading.Lock()
        self.digest_N = np.zeros(len(files), DIGEST)  # zeros where the file is set aside
        self.jpeg_side_N = np.zeros(len(files), np.int32)
        self.set_aside: list[SetAside] = []
        self.animated = 0

    def run(self, threads: int) -> None:
        """Read them all; what a thread raises is raised here."""
        # Pillow is quiet for each header as well; around all of them that costs nothing.
        with running(self._progress, TASK, total=len(self._files), unit="files"), pillow_is_quiet():
            pool = ThreadPool(threads, thread_name_prefix="read")
            try:
                for ended in as_completed([pool.submit(self._work) for _ in range(threads)]):
                    ended.result()
            finally:
                self._numbers = iter(())  # what ended one thread, or the wait for them, ends them all
                pool.shutdown()

    def _work(self) -> None:
        done = 0
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                break
            outcome = _read(self._source, self._files.path(number), self._max_pixels)
            if isinstance(outcome, SetAside):
                self.set_aside.append(outcome)
            else:
                self.digest_N[number], header = outcome
                self.jpeg_side_N[number] = header.jpeg_side
                if header.animated:
                    with self._lock:
                        self.animated += 1
            done += 1
            if done == PROGRESS_FILES:
                self._progress.advance(TASK, done)
                done = 0
        self._progress.advance(TASK, done)


def _apart(digest_N: NDArray[np.bytes_], files: FileList) -> tuple[NDArray[np.int64], list[tuple[str, ListedFile]]]:
    """The numbers of files that nothing ties to another, by their digests' order, and all others for `merge`."""
    order_N = np.argsort(digest_N, kind="stable")
    order_N = order_N[np.count_nonzero(digest_N == b"") :]
    sorted_N = digest_N[order_N]
    same_N = sorted_N[1:] == sorted_N[:-1]
    tied_N = files.grouped(order_N)
    tied_N[1:] |= same_N
    tied_N[:-1] |= same_N
    id_T = _ids(digest_N, order_N[tied_N])
    others = [(id_.decode(), files[number]) for id_, number in zip(id_T, order_N[tied_N], strict=True)]
    return order_N[~tied_N], others


def _ids(digest_N: NDArray[np.bytes_], number_M: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """The digests of some files in hexadecimal."""
    id_M = np.empty(len(number_M), f"S{SHA256_LETTERS}")
    for start in range(0, len(number_M), ROWS_AT_ONCE):
        numbers = number_M[start : start + ROWS_AT_ONCE]
        id_M[start : start + len(numbers)] = np.frombuffer(digest_N[numbers].tobytes().hex().encode(), id_M.dtype)
    return id_M


def _read(source: Source, path: str, max_pixels: int) -> tuple[bytes, Header] | SetAside:
    """The digest and the header of a file, or why it is set aside."""
    try:
        with one_item():
            data = source.read(path)
            header = inspect(data, max_pixels=max_pixels)
            digest = bytes.fromhex(sha256_bytes(data))
    except ImageRejected as error:
        reason = error.reason
    except OSError as error:
        reason = f"it cannot be read: {error.strerror or type(error).__name__}"
    else:
        return digest, header
    return SetAside(path=path, reason=reason, kind="unreadable")


def _nothing_left(source: Source, set_aside: Sequence[SetAside]) -> str:
    if not set_aside:
        return f"There are no images in {source.name}: put them into one folder per class, or list them in a manifest."
    reason, count = Counter(aside.reason for aside in set_aside).most_common(1)[0]
    example = next(aside.path for aside in set_aside if aside.reason == reason)
    others = f", as were {count - 1} more" if count > 1 else ""
    return (
        f"None of the {len(set_aside)} files in {source.name} can be used. For example, {example} was set "
        f"aside{others}, because {reason}. Give images, in one folder per class or listed in a manifest."
    )


def _table(
    plain: NDArray[np.int64],
    reading: _Reading,
    files: FileList,
    merged: Sequence[Example],
    classes: Sequence[str],
) -> pa.Table:
    table = _plain_rows(plain, reading, files, classes)
    if not merged:
        return table
    index = {name: number for number, name in enumerate(classes)}
    order_N = np.argsort(reading.digest_N)
    merged_M = np.array([bytes.fromhex(example.id) for example in merged], DIGEST)
    place_N = np.searchsorted(reading.digest_N, merged_M, sorter=order_N)
    rows = _rows(merged, reading.jpeg_side_N[order_N[place_N]], index)
    return pa.concat_tables([table, rows]).sort_by("id").combine_chunks()


def _plain_rows(plain: NDArray[np.int64], reading: _Reading, files: FileList, classes: Sequence[str]) -> pa.Table:
    """The rows of files that are one example each, in the order of their digests; no object a row is made for it."""
    N = len(plain)
    starts_N1 = SHA256_LETTERS * np.arange(N + 1, dtype=np.int32)
    paths, label_N, splits = files.columns(plain, classes)
    columns = {
        "id": pa.StringArray.from_buffers(N, pa.py_buffer(starts_N1), pa.py_buffer(_ids(reading.digest_N, plain))),
        "paths": pa.ListArray.from_arrays(np.arange(N + 1, dtype=np.int32), paths),
        "label": label_N,
        "group": pa.nulls(N, pa.string()),
        "given_split": splits,
        "jpeg_side": _sides(reading.jpeg_side_N[plain]),
    }
    return pa.table(columns, schema=EXAMPLE_SCHEMA)


def _rows(examples: Sequence[Example], jpeg_side_N: NDArray[np.int32], index: Mapping[str, int]) -> pa.Table:
    return pa.table(
        {
            "id": [example.id for example in examples],
            "paths": [list(example.paths) for example in examples],
            "label": [index[example.label] for example in examples],
            "group": [example.group for example in examples],
            "given_split": [example.split for example in examples],
            "jpeg_side": _sides(jpeg_side_N),
        },
        schema=EXAMPLE_SCHEMA,
    )


def _sides(jpeg_side_N: NDArray[np.int32]) -> pa.Array:
    return pa.array(jpeg_side_N, pa.int32(), mask=jpeg_side_N == 0)
