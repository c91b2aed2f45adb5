"""One pass over a data set: the rows that backbones lack are computed (`stream.py`) and written as shards.

Whatever ends the pass, the rows that came of it are written.

Letters: N rows, D features.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.backbones import Backbone
from vitrail.backbones.poolings import components_of
from vitrail.core.machine import user_seconds
from vitrail.core.progress import phase, running
from vitrail.core.resources import Resources
from vitrail.core.threads import ThreadPool
from vitrail.data import CopyCollector, Reader
from vitrail.features.by_id import Missing, Paths
from vitrail.features.open_images import Images, LeastSides, open_example
from vitrail.features.pace import start_at_pace
from vitrail.features.shard import ShardCost
from vitrail.features.store import open_features, widen
from vitrail.features.stream import Batch, Network, Stream

SHARD_ROWS = 256
SHARD_SECONDS = 10.0  # a crash costs at most this much work for each backbone


@dataclass(slots=True)
class Computed:
    """Rows of one backbone that wait for their shard, and what they cost."""

    ids: list[str] = field(default_factory=list)
    features: list[NDArray[np.float32]] = field(default_factory=list)
    forward_s: float = 0.0
    decode_s: float = 0.0
    since: float = field(default_factory=time.monotonic)

    def add(self, batch: Batch[str]) -> None:
        """Take in the rows of a batch."""
        ids = [example for example, reason in zip(batch.items, batch.reasons, strict=True) if reason is None]
        if ids:
            self.ids += ids
            self.features.append(batch.feature_BD)
        self.forward_s += batch.forward_s
        self.decode_s += batch.decode_s

    def fills_a_shard(self) -> bool:
        """Whether it is time to write it."""
        return len(self.ids) >= SHARD_ROWS or time.monotonic() - self.since > SHARD_SECONDS


class Extractor:
    """One backbone with the rows that it has in the store, and its network once a pass needs it."""

    def __init__(self, backbone: Backbone, pooling: str, facts: Mapping[str, object], cache: Path) -> None:
        self.backbone, self.facts, self.pooling = backbone, facts, pooling
        self.stored = open_features(cache, facts)
        self.too_narrow = False
        self._network: Network | None = None

    @property
    def task(self) -> str:
        """What its progress is called."""
        return f"Features of {self.backbone.name}"

    def start(self, *, images: int, resources: Resources) -> Network:
        """Start its network the first time; later passes reuse it."""
        if self._network is None:
            threads, batch = resources.threads.compute, resources.batch
            if batch is not None:
                engine = self.backbone.start(threads=threads, pooling=self.pooling, batch=batch)
            else:
                engine = start_at_pace(
                    self.backbone, images=images, threads=threads, pooling=self.pooling, cache=resources.cache
                )
            self._network = Network.of(self.backbone, engine)
        return self._network

    def stop(self) -> None:
        """Let its network go."""
        self._network = None

    def write(self, computed: Computed, cost: ShardCost) -> None:
        """Write rows as a shard, unless its storage type has turned out too narrow for them."""
        if not computed.ids or self.too_narrow:
            return
        feature_ND = np.concatenate(computed.features)
        poolings = len(components_of(self.pooling))
        if self.stored.keeps(feature_ND.reshape(len(feature_ND) * poolings, -1)):
            self.stored.seal(computed.ids, feature_ND, cost)
        else:
            self.too_narrow = True

    def reopen(self, cache: Path) -> None:
        """Take in what other processes have written."""
        self.stored = open_features(cache, self.facts)

    def widen(self, cache: Path) -> None:
        """Begin again with rows kept in float32."""
        self.stored = widen(cache, self.facts)
        self.too_narrow = False


class _ShardWriter:
    """Gathers rows until they fill a shard; a separate thread writes one shard at a time, so nothing else waits."""

    def __init__(self, stream: Stream[str], compute_threads: int) -> None:
        self._stream, self._compute_threads = stream, compute_threads
        self._begun_user_s = user_seconds()
        self._waiting: defaultdict[Extractor, Computed] = defaultdict(Computed)
        self._thread = ThreadPool(1, thread_name_prefix="write")
        self._writing: Future[None] | None = None

    def add(self, extractor: Extractor, batch: Batch[str]) -> None:
        """Take in the rows of a batch; StoreError if the shard before could not be written."""
        self._waiting[extractor].add(batch)
        if self._waiting[extractor].fills_a_shard():
            if self._writing is not None:
                self._writing.result()
            computed = self._waiting.pop(extractor)
            self._writing = self._thread.submit(extractor.write, computed, self._cost(extractor, computed))

    def close(self) -> None:
        """Write the remaining rows of every backbone; raises StoreError afterwards if a shard could not be written."""
        self._thread.shutdown()
        with ExitStack() as rest:  # runs all of it, whatever becomes of one shard
            if self._writing is not None:
                rest.callback(self._writing.result)
            for extractor, computed in self._waiting.items():
                rest.callback(extractor.write, computed, self._cost(extractor, computed))

    def _cost(self, extractor: Extractor, computed: Computed) -> ShardCost:
        """On a CPU, its CPU time, since clock time would include the decoders. A GPU runs only the network."""
        compute_s = max(0.0, user_seconds() - self._begun_user_s - self._stream.decode_s)
        forward_user_s = computed.forward_s * compute_s / self._stream.forward_s if computed.forward_s else 0.0
        on_processor = extractor.backbone.engine.device == "cpu"
        return ShardCost(
            forward_s=forward_user_s / self._compute_threads if on_processor else computed.forward_s,
            decode_s=computed.decode_s,
            user_s=forward_user_s + computed.decode_s,
        )


def find_missing(extractors: Sequence[Extractor], paths: Paths, wanted_N: NDArray[np.bool_]) -> Missing[Extractor]:
    """The wanted examples without a row; shards that turn out to be damaged are set aside."""
    for extractor in extractors:
        extractor.stored.set_damaged_aside()
    return Missing(paths, {extractor: wanted_N & ~extractor.stored.has(paths.ids) for extractor in extractors})


def open_examples(
    source: Reader, paths: Paths, max_pixels: int, copies: CopyCollector | None
) -> Callable[[str, LeastSides], Images]:
    """What opens an example by its id for each least side, and gives its bytes to `copies`."""

    def open_one(example: str, least_sides: LeastSides) -> Images:
        row = paths.row(example)
        take = None if copies is None else partial(copies.take, row)
        return open_example(source, paths.first(row), example, least_sides, max_pixels=max_pixels, take=take)

    return open_one


def run_pass(
    source: Reader,
    paths: Paths,
    missing: Missing[Extractor],
    max_pixels: int,
    resources: Resources,
    copies: CopyCollector | None,
) -> tuple[dict[str, str], float]:
    """Compute what is missing; an extractor that is `too_narrow` afterwards still lacks rows.

    Returns:
        Why some examples cannot be decoded, by id, and the CPU time of decoding in seconds.
    """
    pa.default_memory_pool().release_unused()  # free the memory of reading and splitting before the networks run
    with phase(resources.progress, "starting networks"):
        networks = {owner: owner.start(images=missing.count(owner), resources=resources) for owner in missing.owners}
    extractors = {network: owner for owner, network in networks.items()}

    stream = Stream(
        ((example, [networks[owner] for owner in owners]) for example, owners in missing.items()),
        list(extractors),
        open_examples(source, paths, max_pixels, copies),
        decode_threads=resources.threads.decode,
    )
    shards, progress = _ShardWriter(stream, resources.threads.compute), resources.progress
    rejected: dict[str, str] = {}
    with ExitStack() as endings:  # last in, first out: the stream ends, the shards are written, the progress is done
        endings.enter_context(phase(progress, "features"))
        for owner in networks:
            endings.enter_context(running(progress, owner.task, total=missing.count(owner), unit="images"))
        endings.callback(shards.close)
        for batch in endings.enter_context(closing(iter(stream))):
            owner = extractors[batch.network]
            rejected |= {item: why for item, why in zip(batch.items, batch.reasons, strict=True) if why is not None}
            shards.add(owner, batch)
            progress.advance(owner.task, len(batch.items))
    return rejected, stream.decode_s
