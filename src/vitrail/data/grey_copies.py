"""A small grey copy of every example: its brightness in 32 x 32, stored by id.

What two copies have in common says which images may be near-duplicates (`proposals.py`). A copy needs a reduced decode,
a fraction of what the features cost. Most copies are made from the bytes that the pass over the images reads
(`CopyCollector`), and only those that the cache lacks after it from a read of their own. They are stored in the cache
under `grey-copies/` (docs/formats.md).

Letters: N examples, S the side of a copy.
"""

import os
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from vitrail.core.ahead import in_order
from vitrail.core.digest_files import matches_its_name, write_digest_file
from vitrail.core.errors import StoreError
from vitrail.core.progress import running
from vitrail.core.resources import Resources
from vitrail.core.threads import ThreadPool
from vitrail.data.dataset import Dataset, read_example, whole
from vitrail.data.images import ImageRejected, decode_grey
from vitrail.data.in_flight import PIXELS, one_item

SIDE = 32
FOLDER = "grey-copies"
GREY_COPY_VERSION = "2"  # part of the folder's name: bump with any change that moves a pixel
TASK = "Looking for near-duplicates"
AHEAD = 64
SHARD_COPIES = 4096  # a crash costs at most these
LEAST_PIXELS = 32  # below this side, a copy looks like other images of the same kind
SHARD = ".arrow"


@dataclass(frozen=True, slots=True)
class GreyCopies:
    """The grey copies of the examples that could be decoded, in the order of `ids`.

    An image that is too small has a black copy, which resembles nothing, and is marked in `small_N`.
    """

    ids: tuple[str, ...]
    copy_NSS: NDArray[np.uint8] = field(repr=False)
    small_N: NDArray[np.bool_] = field(repr=False)


def make_grey_copies(dataset: Dataset, *, max_pixels: int, resources: Resources) -> GreyCopies:
    """The grey copy of every example; only those that the cache lacks are made.

    Returns:
        The copies, without the examples that cannot be decoded: the features will say why.

    Raises:
        StoreError: the cache cannot be written.
        DataError: a file has changed since the data set was read.
    """
    ids, paths = dataset.table.column("id"), dataset.table.column("paths")
    copy_NSS = np.zeros((len(ids), SIDE, SIDE), np.uint8)
    there_N, small_N = np.zeros(len(ids), np.bool_), np.zeros(len(ids), np.bool_)
    for stored_ids, stored_MSS, stored_M in _read(_folder(resources.cache), ids):
        rows = np.asarray(pc.index_in(stored_ids, value_set=ids))
        copy_NSS[rows], small_N[rows], there_N[rows] = stored_MSS, stored_M, True
    missing = [(row, ids[row].as_py(), paths[row].as_py()[0]) for row in np.flatnonzero(~there_N).tolist()]
    if missing:
        missing.sort(key=lambda item: item[2])  # neighbours in an archive or on a disk are read together
        with (
            closing(_Writer(_folder(resources.cache))) as writer,
            closing(_make(dataset, missing, max_pixels, resources)) as copies,
        ):
            for row, id_, copy in copies:
                there_N[row], small_N[row] = True, copy is None
                if copy is not None:
                    copy_NSS[row] = copy
                writer.add(id_, copy)
    if not there_N.all():
        ids, copy_NSS, small_N = ids.filter(pa.array(there_N)), copy_NSS[there_N], small_N[there_N]
    return GreyCopies(tuple(ids.to_pylist()), copy_NSS, small_N)


class CopyCollector:
    """Makes the grey copies that the cache lacks from bytes that were read for something else.

    The last copies are written when it is closed. What it did not get is left to `make_grey_copies`, which makes the
    same copies.
    """

    def __init__(self, dataset: Dataset, *, max_pixels: int, cache: Path) -> None:
        self._folder, self._max_pixels = _folder(cache), max_pixels
        self._writer = _Writer(self._folder)
        self._ids = whole(dataset.table.column("id"))

    def take(self, row: int, data: bytes) -> None:
        """Make the copy of the example in a row of the table, whose bytes these are; called from any thread.

        Raises:
            StoreError: the cache cannot be written.
        """
        if not self._lacking[row]:
            return
        try:
            copy = make_grey_copy(data, max_pixels=self._max_pixels)
        except ImageRejected:
            return
        self._lacking[row] = False
        self._writer.add(self._ids[row].as_py(), copy)

    @cached_property
    def _lacking(self) -> NDArray[np.bool_]:
        """The rows without a copy; found out when the first bytes come, since there may be none."""
        lacks_N = np.ones(len(self._ids), np.bool_)
        for stored_ids, *_ in _read(self._folder, self._ids):
            lacks_N[np.asarray(pc.index_in(stored_ids, value_set=self._ids))] = False
        return lacks_N

    def close(self) -> None:
        """Write the last copies; StoreError if the cache cannot be written."""
        self._writer.close()


def make_grey_copy(data: bytes, *, max_pixels: int, side: int = SIDE) -> NDArray[np.uint8] | None:
    """The grey copy of one file, squeezed into a square, so that a copy of another aspect has the same.

    Returns:
        S x S, or None for an image with fewer than 32 pixels along a side. The decode keeps twice the side, so that
        its own grid is averaged away.

    Raises:
        ImageRejected: it cannot be decoded.
    """
    with PIXELS.scope():
        image = decode_grey(data, at_least=2 * side, max_pixels=max_pixels)
        if min(image.size) < LEAST_PIXELS:
            return None
        return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), dtype=np.uint8)


class _Writer:
    """Writes copies to shards, some at a time as they come, from any thread; at the end those that are left."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._make_room()

    def add(self, id_: str, copy: NDArray[np.uint8] | None) -> None:
        """One more copy, or None for an image that is too small; StoreError if a full shard cannot be written."""
        with self._lock:
            self._copy_MSS[len(self._ids)] = 0 if copy is None else copy
            self._small_M[len(self._ids)] = copy is None
            self._ids.append(id_)
            if len(self._ids) < SHARD_COPIES:
                return
            full = self._ids, self._copy_MSS, self._small_M
            self._make_room()
        _write(self._folder, *full)

    def close(self) -> None:
        """Write the remaining copies."""
        with self._lock:
            rest = self._ids, self._copy_MSS[: len(self._ids)], self._small_M[: len(self._ids)]
            self._make_room()
        _write(self._folder, *rest)

    def _make_room(self) -> None:
        self._ids: list[str] = []
        self._copy_MSS = np.empty((SHARD_COPIES, SIDE, SIDE), np.uint8)
        self._small_M = np.empty(SHARD_COPIES, np.bool_)


def _folder(cache: Path) -> Path:
    return cache / FOLDER / f"v{GREY_COPY_VERSION}"


def _make(
    dataset: Dataset, missing: Sequence[tuple[int, str, str]], max_pixels: int, resources: Resources
) -> Generator[tuple[int, str, NDArray[np.uint8] | None]]:
    progress = resources.progress

    def make(item: tuple[int, str, str]) -> list[NDArray[np.uint8] | None]:
        """The copy, in a list that is empty if the image cannot be decoded."""
        _, id_, path = item
        try:
            with one_item():
                return [make_grey_copy(read_example(dataset.source, path, id_), max_pixels=max_pixels)]
        except (ImageRejected, OSError):
            return []
        finally:
            progress.advance(TASK)

    with running(progress, TASK, total=len(missing), unit="images"):
        pool = ThreadPool(resources.threads.decode, thread_name_prefix="grey")
        try:
            for (row, id_, _), copies in zip(missing, in_order(pool, make, missing, ahead=AHEAD), strict=True):
                for copy in copies:
                    yield row, id_, copy
        finally:
            pool.shutdown(cancel_futures=True)


def _write(folder: Path, ids: Sequence[str], copy_MSS: NDArray[np.uint8], small_M: NDArray[np.bool_]) -> None:
    if not ids:
        return
    schema = pa.schema([("id", pa.string()), ("copy", pa.binary(SIDE * SIDE))])
    pixels = pa.py_buffer(np.ascontiguousarray(copy_MSS))
    large = pa.py_buffer(np.packbits(~small_M, bitorder="little"))
    columns = [
        pa.array(ids, pa.string()),
        pa.FixedSizeBinaryArray.from_buffers(schema.field("copy").type, len(ids), [large, pixels]),
    ]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))
    try:
        write_digest_file(folder, sink.getvalue(), SHARD)
    except OSError as error:
        raise StoreError(
            f"The small grey copies of the images could not be written to {folder} ({error.strerror or error}). "
            "Free some disk space or set VITRAIL_CACHE to another folder, then run the same command again."
        ) from error
    finally:
        del columns, sink
        pa.default_memory_pool().release_unused()  # each thread that writes would keep room for a shard


def _read(folder: Path, ids: pa.ChunkedArray) -> Iterator[tuple[pa.Array, NDArray[np.uint8], NDArray[np.bool_]]]:
    """The stored copies of these examples and which are too small, whichever data set they were made for.

    A damaged file is passed over.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == SHARD)
    except OSError:
        return
    for path in filter(matches_its_name, paths):
        try:
            table = pa.ipc.open_file(pa.memory_map(os.fsencode(path))).read_all()
            table = table.filter(pc.is_in(table.column("id"), value_set=ids)).combine_chunks()
        except (OSError, pa.ArrowException):
            continue
        if table.num_rows:
            copy = table.column("copy").chunk(0)
            content = np.frombuffer(copy.buffers()[1], np.uint8)[copy.offset * SIDE * SIDE :][: len(copy) * SIDE * SIDE]
            small_M = copy.is_null().to_numpy(zero_copy_only=False)
            yield table.column("id").chunk(0), content.reshape(-1, SIDE, SIDE), small_M
