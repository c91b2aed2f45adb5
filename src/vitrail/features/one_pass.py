"""The threads of one pass: decode and compute side by side, each image decoded once for all that lack its row.

    ids ─► decode threads ─► a batch a backbone ─► bounded queue ─► compute threads ─► shards

The queue is bounded, so memory does not grow with the number of images; decoding waits whenever the networks have
enough to do. Whatever ends the pass, complete rows are sealed.

Letters: B images of a batch, N rows, D features.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones import Backbone, Engine, to_pixels
from vitrail.backbones.poolings import components_of
from vitrail.core.errors import DataError
from vitrail.core.machine import user_seconds
from vitrail.core.resources import Resources
from vitrail.data import ImageRejected, Source, decode, read_example
from vitrail.features.by_id import Missing
from vitrail.features.pace import start_at_pace
from vitrail.features.shard import ShardCost
from vitrail.features.store import open_features, widen

SHARD_ROWS = 256
SHARD_SECONDS = 10.0  # a crash costs at most this much work a backbone
WAITING_BATCHES = 2  # a compute thread: enough that none ever waits for the queue itself
LOOK_S = 0.05  # how long a blocked thread sleeps before it looks whether the pass has stopped


@dataclass(slots=True)
class Computed:
    """Rows of one backbone that wait for their shard, and what they cost."""

    ids: list[str] = field(default_factory=list)
    features: list[NDArray[np.float32]] = field(default_factory=list)
    busy_s: float = 0.0
    decode_s: float = 0.0


class Lane:
    """One backbone on its way through a pass."""

    def __init__(self, backbone: Backbone, pooling: str, facts: Mapping[str, object], cache: Path) -> None:
        self.backbone, self.facts, self.pooling = backbone, facts, pooling
        self.stored = open_features(cache, facts)
        self.too_narrow = False
        self.engine: Engine | None = None
        self.lock = threading.Lock()
        self.sealing = threading.Lock()  # apart from `lock`: nobody waits for the disk but who writes to it
        self.clear()

    @property
    def task(self) -> str:
        """What its progress is called."""
        return f"Features of {self.backbone.name}"

    def start(self, *, images: int, resources: Resources) -> Engine:
        """Start its engine the first time; passes that follow go on with it."""
        threads, batch = resources.threads.compute, resources.batch
        if self.engine is None and batch is not None:
            self.engine = self.backbone.start(threads=threads, pooling=self.pooling, batch=batch)
        elif self.engine is None:
            self.engine = start_at_pace(
                self.backbone, images=images, threads=threads, pooling=self.pooling, cache=resources.cache
            )
        return self.engine

    def clear(self) -> None:
        """Forget what is on its way."""
        self.batch: list[tuple[str, NDArray[np.uint8], float]] = []
        self.computed = Computed()
        self.since = time.monotonic()

    def drain(self) -> Computed:
        """Hand over what has been computed and is not on its way to the disk yet."""
        done, self.computed = self.computed, Computed()
        self.since = time.monotonic()
        return done

    def keeps(self, feature_ND: NDArray[np.float32]) -> bool:
        """Whether the storage type keeps every pooling of these rows."""
        poolings = len(components_of(self.pooling))
        return self.stored.keeps(feature_ND.reshape(len(feature_ND) * poolings, -1))

    def reopen(self, cache: Path) -> None:
        """Take in what other processes have written."""
        self.stored = open_features(cache, self.facts)

    def widen(self, cache: Path) -> None:
        """Begin again with rows kept in float32."""
        self.stored = widen(cache, self.facts)
        self.too_narrow = False
        self.clear()


class OnePass:
    """The threads of one pass and what they share."""

    def __init__(
        self,
        source: Source,
        paths: Mapping[str, Sequence[str]],
        missing: Missing[Lane],
        max_pixels: int,
        resources: Resources,
    ) -> None:
        self.source, self.paths, self.missing = source, paths, missing
        self.resources, self.threads, self.progress = resources, resources.threads, resources.progress
        self.max_pixels = max_pixels
        self.lanes = list(dict.fromkeys(lane for lanes in missing.values() for lane in lanes))
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.failures: list[BaseException] = []
        self.rejected: dict[str, str] = {}
        self.decode_s = self.busy_s = 0.0

    def run(self) -> dict[str, str]:
        """Do it; returns the reason of each id that could not be decoded."""
        self.engines = {
            lane: lane.start(images=self.missing.count(lane), resources=self.resources) for lane in self.lanes
        }
        self.begun_user_s = user_seconds()
        for lane in self.lanes:
            lane.clear()
            self.progress.start(lane.task, total=self.missing.count(lane), unit="images")
        workers = max(engine.streams for engine in self.engines.values())
        self.work: queue.Queue[tuple[Lane, list[tuple[str, NDArray[np.uint8], float]]] | None] = queue.Queue(
            WAITING_BATCHES * workers
        )
        computers = self._spawn(workers, self._compute, "compute")
        self.ids: Iterator[str] = iter(self.missing)
        try:
            decoders = self._spawn(self.threads.decode, self._decode, "decode")
            _join(decoders)
            for lane in self.lanes:
                self._hand_over(lane, lane.batch)
            for _ in computers:
                self._put(None)
            _join(computers)
        finally:
            self.stopped.set()
            _join([*decoders, *computers])
            for lane in self.lanes:
                self._seal(lane, lane.drain())
                self.progress.done(lane.task)
        if self.failures:
            raise self.failures[0]
        return self.rejected

    def _spawn(self, count: int, target: Callable[[], None], name: str) -> list[threading.Thread]:
        def guarded() -> None:
            try:
                target()
            except BaseException as failure:  # noqa: BLE001 - raised again by the thread that waits
                self.failures.append(failure)
                self.stopped.set()

        threads = [threading.Thread(target=guarded, name=f"{name}-{number}") for number in range(count)]
        for thread in threads:
            thread.start()
        return threads

    def _decode(self) -> None:
        while not self.stopped.is_set():
            with self.lock:
                example = next(self.ids, None)
            if example is None:
                return
            begun = time.thread_time()
            path = self.paths[example][0]
            try:
                image = decode(read_example(self.source, path, example), max_pixels=self.max_pixels)
            except ImageRejected as rejection:
                self._reject(example, rejection.reason)
                continue
            except OSError as error:  # it could be read for its id: setting it aside would let a bad moment choose
                raise DataError(
                    f"{path} could be read at first and cannot be now ({error.strerror or type(error).__name__}). What "
                    "was computed is kept: see that the images are within reach, then run the same command again."
                ) from error
            pixels = {
                p: to_pixels(image, p) for p in {lane.backbone.card.preprocessing for lane in self.missing[example]}
            }
            spent = time.thread_time() - begun
            with self.lock:
                self.decode_s += spent
            for lane in self.missing[example]:
                self._add(lane, example, pixels[lane.backbone.card.preprocessing], spent / len(self.missing[example]))

    def _reject(self, example: str, reason: str) -> None:
        with self.lock:
            self.rejected[example] = reason
        for lane in self.missing[example]:
            self.progress.advance(lane.task)

    def _add(self, lane: Lane, example: str, pixel_HWC: NDArray[np.uint8], spent: float) -> None:
        full = None
        with lane.lock:
            lane.batch.append((example, pixel_HWC, spent))
            if len(lane.batch) == self.engines[lane].batch:
                full, lane.batch = lane.batch, []
        if full is not None:
            self._hand_over(lane, full)

    def _hand_over(self, lane: Lane, batch: list[tuple[str, NDArray[np.uint8], float]]) -> None:
        if batch:
            self._put((lane, batch))

    def _put(self, item: tuple[Lane, list[tuple[str, NDArray[np.uint8], float]]] | None) -> None:
        while not self.stopped.is_set():
            try:
                self.work.put(item, timeout=LOOK_S)
            except queue.Full:
                continue
            return

    def _compute(self) -> None:
        while not self.stopped.is_set():
            try:
                item = self.work.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            if item is None:
                return
            lane, batch = item
            begun = time.monotonic()
            feature_BD = self.engines[lane](np.stack([pixel_HWC for _, pixel_HWC, _ in batch]))
            busy = time.monotonic() - begun
            with self.lock:
                self.busy_s += busy
            self._take(lane, batch, feature_BD, busy)

    def _take(
        self,
        lane: Lane,
        batch: list[tuple[str, NDArray[np.uint8], float]],
        feature_BD: NDArray[np.float32],
        busy: float,
    ) -> None:
        with lane.lock:
            done = lane.computed
            done.ids += [example for example, _, _ in batch]
            done.features.append(feature_BD)
            done.busy_s += busy
            done.decode_s += sum(spent for _, _, spent in batch)
            enough = len(done.ids) >= SHARD_ROWS or time.monotonic() - lane.since > SHARD_SECONDS
            ready = lane.drain() if enough else None
        self.progress.advance(lane.task, len(batch))
        if ready is not None:
            self._seal(lane, ready)

    def _seal(self, lane: Lane, ready: Computed) -> None:
        with lane.sealing:
            if not ready.ids or lane.too_narrow:
                return
            feature_ND = np.concatenate(ready.features)
            if lane.keeps(feature_ND):
                lane.stored.seal(ready.ids, feature_ND, self._cost(lane, ready))
            else:
                lane.too_narrow = True

    def _cost(self, lane: Lane, ready: Computed) -> ShardCost:
        """Where decoders share the processor with the network, its clock counts them too, and CPU time does not.

        A GPU is the network's own and has one stream, so there the clock is what is kept.
        """
        compute_s = max(0.0, user_seconds() - self.begun_user_s - self.decode_s)
        forward_user_s = ready.busy_s * compute_s / self.busy_s
        on_processor = lane.backbone.engine.device == "cpu"
        return ShardCost(
            forward_s=forward_user_s / self.threads.compute if on_processor else ready.busy_s,
            decode_s=ready.decode_s,
            user_s=forward_user_s + ready.decode_s,
        )


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join()
