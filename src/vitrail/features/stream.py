"""Images in, rows out: the one place where images are decoded and run through networks.

    images ─► decode threads ─► a batch for each network ─► compute threads ─► batches of rows

No core waits for another: decode threads are ahead of the batches by the size of the largest batch and two images for
each decode thread, and batches are ahead of the reader by two for each compute thread. Beside these, decoded images are
alive only in the batch that each network is filling, however many images go in. Decode threads share a budget of bytes
(`data/in_flight.py`), so that large images are decoded a few at a time. An image is read once for all networks,
decoded once at each scale that they need, and resized once for all that share their preprocessing.

Letters: B images of a batch, H rows, W columns, D features.
"""

import queue
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.cards import Preprocessing
from vitrail.core.ahead import in_order
from vitrail.core.errors import WeightsError
from vitrail.core.threads import ThreadPool, start_thread
from vitrail.data import ImageRejected
from vitrail.data.in_flight import one_item
from vitrail.features.open_images import Images, LeastSides, make_pixels

if TYPE_CHECKING:
    from vitrail.backbones import Backbone, Engine

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network that is ready to run, how it wants its pixels, and what messages call it."""

    engine: "Engine"
    preprocessing: Preprocessing
    name: str

    @classmethod
    def of(cls, backbone: "Backbone", engine: "Engine") -> Self:
        """The network of a backbone, as it was started."""
        name = f"{backbone.name} (engine {backbone.engine.name}, precision {backbone.engine.precision})"
        return cls(engine, backbone.card.preprocessing, name)

    def compute(self, pixel_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The features, all of them finite.

        Raises:
            WeightsError: they are not: a number became too large for the precision, or for float32.
        """
        feature_BD = self.engine(pixel_BHWC)
        finite_B = np.isfinite(feature_BD).all(axis=1)
        if not finite_B.all():
            raise WeightsError(
                f"The features of {self.name} are not finite for {np.count_nonzero(~finite_B)} of a batch of "
                f"{len(feature_BD)} images: its numbers become too large. Give --precision fp32; if that is not "
                "enough, its weights are damaged, so leave this backbone out or give other weights."
            )
        return feature_BD


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


_Full = tuple[Network, int, list[_Entry[Item]]]  # a batch to compute, and its number among those of its network


class Stream(Generic[Item]):
    """Runs images through networks; iterate over it once.

    The batches of a network come in the order of its images. An exception of a decoder or a network ends the stream: it
    is raised after the batches that were complete by then. To stop early, close the iterator, which ends every thread;
    garbage collection does that too. `decode_s` and `forward_s` are totals so far, as in `Batch`.
    """

    def __init__(
        self,
        items: Iterable[tuple[Item, Sequence[Network]]],
        networks: Sequence[Network],
        open_item: Callable[[Item, LeastSides], Images],
        *,
        decode_threads: int,
    ) -> None:
        """Nothing runs before the first batch is read.

        Args:
            items: each with the networks that it is for; they are read in a thread of their own.
            networks: all of them.
            open_item: called in decode threads; raises ImageRejected if the image cannot be used.
            decode_threads: how many decode; each network says how many threads it is run from.
        """
        self.decode_s = self.forward_s = 0.0
        self._items, self._open = items, open_item
        self._decoders = ThreadPool(decode_threads, thread_name_prefix="decode")
        self._workers = max(network.engine.streams for network in networks)
        self._ahead = max(network.engine.batch for network in networks) + 2 * decode_threads
        self._stopped, self._counting = threading.Event(), threading.Lock()
        self._permits = threading.Semaphore(2 * self._workers)  # of batches that are full and not yet read as rows
        self._full: queue.SimpleQueue[_Full[Item] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Batch[Item] | BaseException | None] = queue.SimpleQueue()
        self._failures: list[BaseException] = []

    def __iter__(self) -> Generator[Batch[Item]]:
        threads = [threading.Thread(target=self._fill, name="fill")]
        threads += [threading.Thread(target=self._compute, name=f"compute-{n}") for n in range(self._workers)]
        started: list[threading.Thread] = []
        try:
            for thread in threads:
                start_thread(thread)
                started.append(thread)
            yield from self._collect()
        finally:
            self._stop()
            self._decoders.shutdown(cancel_futures=True)
            for thread in started:
                thread.join()

    def _stop(self) -> None:
        self._stopped.set()
        self._permits.release()  # for the thread that fills batches

    def _collect(self) -> Iterator[Batch[Item]]:
        """The results of the compute threads, those of each network in order."""
        early: dict[tuple[Network, int], Batch[Item]] = {}
        following: Counter[Network] = Counter()
        running = self._workers
        while running:
            result = self._results.get()
            if result is None:
                running -= 1
            elif isinstance(result, BaseException):
                self._failures.append(result)
                self._stop()
            else:
                early[result.network, result.number] = result
                while batch := early.pop((result.network, following[result.network]), None):
                    following[result.network] += 1
                    self._permits.release()
                    yield batch
        if self._failures:
            raise self._failures[0]

    def _fill(self) -> None:
        """What the thread does that makes batches of decoded images."""
        batches = self._batches()
        try:
            while self._permits.acquire() and not self._stopped.is_set():
                self._full.put(next(batches))
        except StopIteration:
            pass
        except BaseException as failure:  # noqa: BLE001 - raised again by the reader, after the batches before it
            self._failures.append(failure)
        finally:
            for _ in range(self._workers):
                self._full.put(None)

    def _batches(self) -> Iterator[_Full[Item]]:
        """Every batch as soon as it is full; the last batches may be smaller."""
        filling: defaultdict[Network, list[_Entry[Item]]] = defaultdict(list)
        numbers: Counter[Network] = Counter()
        for image in in_order(self._decoders, self._decode, self._items, ahead=self._ahead):
            for network, pixel_HWC in image.pixels.items():
                share = image.decode_s / len(image.pixels)
                filling[network].append(_Entry(image.item, pixel_HWC, image.reason, share))
                if len(filling[network]) == network.engine.batch:
                    numbers[network] += 1
                    yield network, numbers[network] - 1, filling.pop(network)
        for network in list(filling):
            yield network, numbers[network], filling.pop(network)

    def _compute(self) -> None:
        """What a compute thread does."""
        try:
            while not self._stopped.is_set() and (result := self._compute_next()) is not None:
                self._results.put(result)
        except BaseException as failure:  # noqa: BLE001 - raised again by the reader
            self._results.put(failure)
        finally:
            self._results.put(None)

    def _compute_next(self) -> Batch[Item] | None:
        full = self._full.get()
        if full is None:
            return None
        network, number, entries = full
        pixels = [entry.pixel_HWC for entry in entries if entry.pixel_HWC is not None]
        begun = time.monotonic()
        feature_BD = network.compute(np.stack(pixels)) if pixels else np.empty((0, 0), np.float32)
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

    def _decode(self, item: tuple[Item, Sequence[Network]]) -> _Decoded[Item]:
        subject, networks = item
        begun = time.thread_time()
        with one_item():
            try:
                pixels = make_pixels(partial(self._open, subject), {network.preprocessing for network in networks})
            except ImageRejected as rejection:
                return _Decoded(subject, dict.fromkeys(networks), rejection.reason, 0.0)
        spent = time.thread_time() - begun
        with self._counting:
            self.decode_s += spent
        return _Decoded(subject, {network: pixels[network.preprocessing] for network in networks}, None, spent)
