"""A small grey copy of every example, made before any network runs: its brightness in 32 x 32, stored by id.

What two copies have in common says which images may be near-duplicates (`proposals.py`). Making one costs a reduced
decode, a fraction of what the features will cost; they are stored in the cache under `grey-copies/` (docs/formats.md).

Letters: N examples, S the side of a copy.
"""

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
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
from vitrail.data.dataset import Dataset, read_example
from vitrail.data.images import ImageRejected, decode_grey

SIDE = 32
FOLDER = "grey-copies"
GREY_COPY_VERSION = "1"  # part of the folder's name: bump with any change that moves a pixel
TASK = "Looking for near-duplicates"
AHEAD = 64
SHARD_COPIES = 4096  # a crash costs at most these
LEAST_PIXELS = 32  # a side below which a copy cannot be told from an image of the same kind
SHARD = ".arrow"


@dataclass(frozen=True, slots=True)
class GreyCopies:
    """The grey copies of the examples that could be decoded, in the order of `ids`."""

    ids: tuple[str, ...]
    copy_NSS: NDArray[np.uint8] = field(repr=False)


def make_grey_copies(dataset: Dataset, *, max_pixels: int, resources: Resources) -> GreyCopies:
    """The grey copy of every example; only those that the cache lacks are made.

    Returns:
        The copies, without the examples that cannot be decoded: the features will say why.

    Raises:
        StoreError: the cache cannot be written.
        DataError: a file has changed since the data set was read.
    """
    folder = resources.cache / FOLDER / f"v{GREY_COPY_VERSION}"
    known = _read(folder, dataset.table.column("id"))
    ids, paths = (dataset.table.column(name).to_pylist() for name in ("id", "paths"))
    missing = [(id_, where[0]) for id_, where in zip(ids, paths, strict=True) if id_ not in known]
    if missing:
        missing.sort(key=lambda item: item[1])  # neighbours in an archive or on a disk are read together
        with closing(_make(dataset, missing, max_pixels, resources)) as copies:
            known |= _write_all(folder, copies)
    there = [id_ for id_ in ids if id_ in known]
    copy_NSS = np.stack([known[id_] for id_ in there]) if there else np.empty((0, SIDE, SIDE), np.uint8)
    return GreyCopies(tuple(there), copy_NSS)


def make_grey_copy(data: bytes, *, max_pixels: int, side: int = SIDE) -> NDArray[np.uint8]:
    """The grey copy of one file, squeezed into a square, so that a copy of another aspect has the same.

    An image with fewer than 32 pixels along a side has a black one, which resembles nothing.

    Returns:
        S x S. The decode keeps twice the side, so that its own grid is averaged away.

    Raises:
        ImageRejected: it cannot be decoded.
    """
    image = decode_grey(data, at_least=2 * side, max_pixels=max_pixels)
    if min(image.size) < LEAST_PIXELS:
        return np.zeros((side, side), np.uint8)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), dtype=np.uint8)


def _make(
    dataset: Dataset, missing: Sequence[tuple[str, str]], max_pixels: int, resources: Resources
) -> Generator[tuple[str, NDArray[np.uint8]]]:
    progress = resources.progress

    def make(item: tuple[str, str]) -> NDArray[np.uint8] | None:
        id_, path = item
        try:
            return make_grey_copy(read_example(dataset.source, path, id_), max_pixels=max_pixels)
        except (ImageRejected, OSError):
            return None
        finally:
            progress.advance(TASK)

    with running(progress, TASK, total=len(missing), unit="images"):
        pool = ThreadPoolExecutor(resources.threads.decode, thread_name_prefix="grey")
        try:
            for (id_, _), copy in zip(missing, in_order(pool, make, missing, ahead=AHEAD), strict=True):
                if copy is not None:
                    yield id_, copy
        finally:
            pool.shutdown(cancel_futures=True)


def _write_all(folder: Path, copies: Iterable[tuple[str, NDArray[np.uint8]]]) -> dict[str, NDArray[np.uint8]]:
    """All copies, written some at a time as they are made; if making them fails, those that were made are written."""
    made: dict[str, NDArray[np.uint8]] = {}
    waiting: dict[str, NDArray[np.uint8]] = {}
    try:
        for id_, copy in copies:
            made[id_] = waiting[id_] = copy
            if len(waiting) == SHARD_COPIES:
                full, waiting = waiting, {}
                _write(folder, full)
    finally:
        _write(folder, waiting)
    return made


def _write(folder: Path, copies: dict[str, NDArray[np.uint8]]) -> None:
    if not copies:
        return
    schema = pa.schema([("id", pa.string()), ("copy", pa.binary(SIDE * SIDE))])
    columns = [
        pa.array(list(copies)),
        pa.array([copy.tobytes() for copy in copies.values()], schema.field("copy").type),
    ]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))
    try:
        write_digest_file(folder, sink.getvalue(), SHARD)
    except OSError as error:
        raise StoreError(
            f"The small grey copies of the images could not be written to {folder} ({error.strerror or error}). "
            "Free some room or set VITRAIL_CACHE to another folder, then run the same command again."
        ) from error


def _read(folder: Path, ids: pa.ChunkedArray) -> dict[str, NDArray[np.uint8]]:
    """The stored copies of these examples, whichever data set they were made for; a damaged file is passed over."""
    known: dict[str, NDArray[np.uint8]] = {}
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == SHARD)
    except OSError:
        return known
    for path in filter(matches_its_name, paths):
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            table = table.filter(pc.is_in(table.column("id"), value_set=ids))
        except (OSError, pa.ArrowException):
            continue
        for id_, copy in zip(table.column("id").to_pylist(), table.column("copy").to_pylist(), strict=True):
            known[id_] = np.frombuffer(copy, np.uint8).reshape(SIDE, SIDE)
    return known
