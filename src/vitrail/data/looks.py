"""A look at every example before any network runs: its brightness in 32 x 32, kept by id so that it is taken once.

What two looks have in common says which pictures may be copies of one another (`proposals.py`). Taking them costs a
reduced decode, a fraction of what the features will cost; they are kept in the cache folder, under `looks/`
(docs/formats.md).

Letters: N examples, S the side of a look.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from vitrail.core.ahead import in_order
from vitrail.core.errors import StoreError
from vitrail.core.kept import Kept
from vitrail.core.resources import Resources
from vitrail.core.whole_files import put_in_place
from vitrail.data.dataset import Dataset
from vitrail.data.images import ImageRejected, decode_grey
from vitrail.data.read_example import read_example

SIDE = 32
FOLDER = "looks"
LOOK_VERSION = "1"  # part of the folder's name: bump with any change that moves a pixel
TASK = "Looking for near-duplicates"
AHEAD = 64
SHARD_LOOKS = 4096  # a crash costs at most these
LEAST_PIXELS = 32  # a side below which a copy cannot be told from a picture of the same kind
SHARD = ".arrow"


@dataclass(frozen=True, slots=True)
class Looks:
    """The looks of the examples that could be decoded, `look_NSS` in uint8, in the order of `ids`."""

    ids: tuple[str, ...]
    look_NSS: NDArray[np.uint8] = field(repr=False)


def list_looks(cache: Path) -> list[Kept]:
    """All looks of a cache as one thing, used when one was last taken; StoreError where they cannot be listed."""
    try:
        status = [path.stat() for path in (cache / FOLDER).rglob(f"*{SHARD}")]
    except OSError as error:
        raise StoreError(f"{cache / FOLDER} cannot be listed ({error.strerror}): mend its permissions.") from error
    if not status:
        return []
    used = max(one.st_mtime for one in status)
    size = sum(one.st_size for one in status)
    return [Kept(key=FOLDER, what="looks of images, for near-duplicates", inside=FOLDER, bytes=size, last_used=used)]


def look_at(dataset: Dataset, *, max_pixels: int, resources: Resources) -> Looks:
    """The look of every example; only those that the cache lacks are taken.

    StoreError where the cache cannot be written, DataError where a file has changed since the data set was read.

    Args:
        dataset: the examples.
        max_pixels: larger images have no look.
        resources: with the cache that keeps looks.

    Returns:
        The looks, without the examples that cannot be decoded: the features will say why.
    """
    folder = resources.cache / FOLDER / f"v{LOOK_VERSION}"
    known = _read(folder, dataset.table.column("id"))
    ids, paths = (dataset.table.column(name).to_pylist() for name in ("id", "paths"))
    missing = [(id_, where[0]) for id_, where in zip(ids, paths, strict=True) if id_ not in known]
    if missing:
        missing.sort(key=lambda item: item[1])  # neighbours in an archive or on a disk are read together
        known |= _keep(folder, _take(dataset, missing, max_pixels, resources))
    there = [id_ for id_ in ids if id_ in known]
    look_NSS = np.stack([known[id_] for id_ in there]) if there else np.empty((0, SIDE, SIDE), np.uint8)
    return Looks(tuple(there), look_NSS)


def take_look(data: bytes, *, max_pixels: int, side: int = SIDE) -> NDArray[np.uint8]:
    """The look of one file, squeezed into a square, so that a copy of another aspect has the same.

    ImageRejected where it cannot be decoded. A picture with fewer than 32 pixels along a side has a black one, which
    resembles nothing.

    Args:
        data: the whole file.
        max_pixels: the largest width times height that is accepted.
        side: of the look, in pixels; the decode keeps twice that, so that its own grid is averaged away.

    Returns:
        S x S.
    """
    image = decode_grey(data, at_least=2 * side, max_pixels=max_pixels)
    if min(image.size) < LEAST_PIXELS:
        return np.zeros((side, side), np.uint8)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), dtype=np.uint8)


def _take(
    dataset: Dataset, missing: Sequence[tuple[str, str]], max_pixels: int, resources: Resources
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    progress = resources.progress

    def take(item: tuple[str, str]) -> NDArray[np.uint8] | None:
        id_, path = item
        try:
            return take_look(read_example(dataset.source, path, id_), max_pixels=max_pixels)
        except (ImageRejected, OSError):
            return None
        finally:
            progress.advance(TASK)

    progress.start(TASK, total=len(missing), unit="images")
    pool = ThreadPoolExecutor(resources.threads.decode, thread_name_prefix="look")
    try:
        for (id_, _), look in zip(missing, in_order(pool, take, missing, ahead=AHEAD), strict=True):
            if look is not None:
                yield id_, look
    finally:
        pool.shutdown(cancel_futures=True)
        progress.done(TASK)


def _keep(folder: Path, looks: Iterable[tuple[str, NDArray[np.uint8]]]) -> dict[str, NDArray[np.uint8]]:
    """All looks, each written with those round it as they are taken; what ends the taking loses none that was there."""
    taken: dict[str, NDArray[np.uint8]] = {}
    waiting: dict[str, NDArray[np.uint8]] = {}
    try:
        for id_, look in looks:
            taken[id_] = waiting[id_] = look
            if len(waiting) == SHARD_LOOKS:
                full, waiting = waiting, {}
                _write(folder, full)
    finally:
        _write(folder, waiting)
    return taken


def _write(folder: Path, taken: dict[str, NDArray[np.uint8]]) -> None:
    if not taken:
        return
    schema = pa.schema([("id", pa.string()), ("look", pa.binary(SIDE * SIDE))])
    columns = [pa.array(list(taken)), pa.array([look.tobytes() for look in taken.values()], schema.field("look").type)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))
    content = sink.getvalue()
    try:
        put_in_place(folder / _shard_name(content), lambda temporary: temporary.write_bytes(content))
    except OSError as error:
        raise StoreError(
            f"The looks of the images could not be written to {folder} ({error.strerror or error}). "
            "Free some room or set VITRAIL_CACHE to another folder, then run the same command again."
        ) from error


def _read(folder: Path, ids: pa.ChunkedArray) -> dict[str, NDArray[np.uint8]]:
    """The looks of these examples that are kept, of whichever data set they were taken.

    A file whose bytes do not match its name is passed over, and its looks are taken again.
    """
    known: dict[str, NDArray[np.uint8]] = {}
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(SHARD))
    except OSError:
        return known
    for name in names:
        try:
            content = pa.memory_map(str(folder / name)).read_buffer()
            if _shard_name(content) != name:
                continue
            table = pa.ipc.open_file(content).read_all()
            table = table.filter(pc.is_in(table.column("id"), value_set=ids))
        except (OSError, pa.ArrowException):
            continue
        for id_, look in zip(table.column("id").to_pylist(), table.column("look").to_pylist(), strict=True):
            known[id_] = np.frombuffer(look, np.uint8).reshape(SIDE, SIDE)
    return known


def _shard_name(content: pa.Buffer) -> str:
    return sha256(content).hexdigest()[:24] + SHARD
