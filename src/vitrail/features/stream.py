"""Images in, rows out: the one place where images are decoded and run through networks.

    images ─► decode threads ─► a batch for each network ─► compute threads ─► batches of rows

A compute thread that is free takes the next full batch. Decode threads work ahead of the compute threads by the largest
batch and two images for each decode thread, so that no core waits for another. Beside those, decoded images are alive
only in the batch that each network is filling and in the batch that each compute thread is at, however many images go
in. An image is decoded once for all networks, and resized once for all that share their preprocessing.

By-products of the same decode, such as the small grey copies for near-duplicates, would be made in `Stream._decode`
beside the pixels and travel in `Batch` beside the rows.

Letters: B images of a batch, H rows, W columns, D features.
"""

import queue
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitrail.backbones import Engine, Preprocessing, to_pixels
from vitrail.core.ahead import in_order
from vitrail.core.errors import DataError
from vitrail.data import ImageRejected, Source, decode, read_example
from vitrail.data.images import upright_rgb
from vitrail.data.sources.local import read_file

ImageInput = str | Path | bytes | Image.Image | NDArray[np.uint8]

Item = TypeVar("Item")


def open_image(image: ImageInput, *, max_pixels: int) -> Image.Image:
    """Open an image in any of its forms: a path, the bytes of a file, an image of Pillow, or an array H x W x 3.

    Returns:
        RGB, 8 bits a channel, upright. An image of Pillow or an array is in memory already, so its size has no limit.

    Raises:
        ImageRejected: it cannot be read or decoded whole, or the array is not H x W x 3 in uint8.
    """
    if isinstance(image, Image.Image):
        return upright_rgb(image)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ImageRejected(f"an array of shape {image.shape} and type {image.dtype} is not H x W x 3 in uint8")
        return Image.fromarray(image)
    return decode(image if isinstance(image, bytes) else _read_path(Path(image)), max_pixels=max_pixels)


def name_image(image: ImageInput, place: int) -> str:
    """The path of an image if it has one, otherwise its place among the images."""
    path = image if isinstance(image, str | Path) else getattr(image, "filename", "")
    return str(path) or f"images[{place}]"


def open_example(source: Source, path: str, example: str, *, max_pixels: int) -> Image.Image:
    """Open an example of a data set.

    Raises:
        ImageRejected: it cannot be decoded whole.
        DataError: its bytes are not those that the data set was made of, or cannot be read any more.
    """
    try:
        return decode(read_example(source, path, example), max_pixels=max_pixels)
    except OSError as error:  # it could be read for its id: setting it aside would let a bad moment choose
        raise DataError(
            f"{path} could be read at first and cannot be now ({error.strerror or type(error).__name__}). What was "
            "computed is kept: see that the images are within reach, then run the same command again."
        ) from error


def _read_path(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise ImageRejected("it is no regular file")  # opening a pipe would wait for ever
        return read_file(path)
    except OSError as error:
        raise ImageRejected(f"it cannot be read: {error.strerror or type(error).__name__}") from error


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network that is ready to run, and how it wants its pixels."""

    engine: Engine
    preprocessing: Preprocessing


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch(Generic[Item]):
    """Consecutive images of one network: a row of `feature_BD` for each whose `reasons` is None.

    A reason says why the image cannot be used. `forward_s` is clock time, `decode_s` CPU time; an image's decoding is
    shared equally among the networks that it was decoded for.
    """

    network: Network
    number: int
    items: Sequence[Item]
    reasons: Sequence[str | None]
    feature_BD: NDArray[np.float32]
    forward_s: float
    decode_s: float


@dataclass(frozen=True, slots=True)
class _Decoded(Generic[Item]):
    """An image with its pixels for each network, or with the reason why there are none."""

    item: Item
    pixels: Mapping[Network, NDArray[np.uint8] | None]
    reason: str | None
    decode_s: float


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Item]):
    """An image in the batch of one network; `decode_s` is that network's share."""

    item: Item
    pixel_HWC: NDArray[np.uint8] | None
    reason: str | None
    decode_s: float


class Stream(Generic[Item]):
    """Runs images through networks; iterate over it once.

    The batches of a network come in the order of its images. What a decoder or a network raises ends the stream: it is
    raised after the batches that were complete by then. Whoever stops early must close the iterator, which ends every
    thread; leaving it to be collected does that too. `decode_s` and `forward_s` are totals so far, as in `Batch`.
    """

    def __init__(
        self,
        items: Iterable[tuple[Item, Sequence[Network]]],
        networks: Sequence[Network],
        open_item: Callable[[Item], Image.Image],
        *,
        decode_threads: int,
    ) -> None:
        """Nothing runs before the first batch is asked for.

        Args:
            items: each with the networks that it is for; they are taken one at a time, in compute threads.
            networks: all of them.
            open_item: called in decode threads; raises ImageRejected if the image cannot be used.
            decode_threads: how many decode; each network says how many threads it is run from.
        """
        self.decode_s = self.forward_s = 0.0
        self._items, self._open, self._decode_threads = items, open_item, decode_threads
        self._workers = max((network.engine.streams for network in networks), default=0)
        self._ahead = max((network.engine.batch for network in networks), default=0) + 2 * decode_threads
        self._stopped = threading.Event()
        self._taking, self._counting = threading.Lock(), threading.Lock()
        # As many batches again as are being computed: one that takes longer than those after it holds up no thread.
        self._permits = threading.Semaphore(2 * self._workers)
        self._results: queue.SimpleQueue[Batch[Item] | BaseException | None] = queue.SimpleQueue()

    def __iter__(self) -> Generator[Batch[Item]]:
        decoders = ThreadPoolExecutor(self._decode_threads, thread_name_prefix="decode")
        batches = self._fill(decoders)
        threads = [
            threading.Thread(target=self._compute, args=(batches,), name=f"compute-{number}")
            for number in range(self._workers)
        ]
        try:
            for thread in threads:
                thread.start()
            yield from self._collect()
        finally:
            self._stop()
            decoders.shutdown(cancel_futures=True)
            for thread in threads:
                thread.join()

    def _stop(self) -> None:
        self._stopped.set()
        self._permits.release(self._workers)  # for every thread that waits for one

    def _collect(self) -> Iterator[Batch[Item]]:
        """The results of the compute threads, those of each network in order."""
        early: dict[tuple[Network, int], Batch[Item]] = {}
        following: Counter[Network] = Counter()
        failure: BaseException | None = None
        running = self._workers
        while running:
            result = self._results.get()
            if result is None:
                running -= 1
            elif isinstance(result, BaseException):
                failure = failure or result
                self._stop()
            else:
                early[result.network, result.number] = result
                while batch := early.pop((result.network, following[result.network]), None):
                    following[result.network] += 1
                    self._permits.release()
                    yield batch
        if failure is not None:
            raise failure

    def _compute(self, batches: Iterator[tuple[Network, int, list[_Entry[Item]]]]) -> None:
        """What a compute thread does until there is no batch left."""
        try:
            while (result := self._compute_next(batches)) is not None:
                self._results.put(result)
        except BaseException as failure:  # noqa: BLE001 - raised again by whoever reads the stream
            self._results.put(failure)
        finally:
            self._results.put(None)

    def _compute_next(self, batches: Iterator[tuple[Network, int, list[_Entry[Item]]]]) -> Batch[Item] | None:
        self._permits.acquire()
        with self._taking:
            full = None if self._stopped.is_set() else next(batches, None)
        if full is None:
            self._permits.release()
            return None
        network, number, entries = full
        pixels = [entry.pixel_HWC for entry in entries if entry.pixel_HWC is not None]
        begun = time.monotonic()
        feature_BD = network.engine(np.stack(pixels)) if pixels else np.empty((0, 0), np.float32)
        spent = time.monotonic() - begun if pixels else 0.0
        with self._counting:
            self.forward_s += spent
        return Batch(
            network=network,
            number=number,
            items=[entry.item for entry in entries],
            reasons=[entry.reason for entry in entries],
            feature_BD=feature_BD,
            forward_s=spent,
            decode_s=sum(entry.decode_s for entry in entries),
        )

    def _fill(self, decoders: ThreadPoolExecutor) -> Iterator[tuple[Network, int, list[_Entry[Item]]]]:
        """Full batches, each with its number among those of its network; what is left at the end is not full."""
        filling: defaultdict[Network, list[_Entry[Item]]] = defaultdict(list)
        numbers: Counter[Network] = Counter()
        for image in in_order(decoders, self._decode, self._items, ahead=self._ahead):
            for network, pixel_HWC in image.pixels.items():
                share = image.decode_s / len(image.pixels)
                filling[network].append(_Entry(image.item, pixel_HWC, image.reason, share))
                if len(filling[network]) == network.engine.batch:
                    numbers[network] += 1
                    yield network, numbers[network] - 1, filling.pop(network)
        for network in list(filling):
            yield network, numbers[network], filling.pop(network)

    def _decode(self, item: tuple[Item, Sequence[Network]]) -> _Decoded[Item]:
        subject, networks = item
        begun = time.thread_time()
        try:
            image = self._open(subject)
        except ImageRejected as rejection:
            return _Decoded(subject, dict.fromkeys(networks), rejection.reason, 0.0)
        pixels = {wanted: to_pixels(image, wanted) for wanted in {network.preprocessing for network in networks}}
        spent = time.thread_time() - begun
        with self._counting:
            self.decode_s += spent
        return _Decoded(subject, {network: pixels[network.preprocessing] for network in networks}, None, spent)
