"""Networks in turn over images that are decoded once for all of them: one network is in memory at a time.

A pass (`one_pass.py`) runs all networks at once, so that nothing waits. Here images are decoded a block at a time, and
each network starts, answers the block and is let go. That suits many networks and few images: the looks of a race.

Letters: B images of a call, D features.
"""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.cards import Preprocessing
from vitrail.core.ahead import in_order
from vitrail.core.machine import return_freed_memory, usable_memory, user_seconds
from vitrail.core.progress import phase, running
from vitrail.core.resources import Resources
from vitrail.core.threads import ThreadPool
from vitrail.data import CopyCollector, ImageRejected, Reader
from vitrail.data.in_flight import one_item
from vitrail.features.by_id import Missing, Paths
from vitrail.features.one_pass import Computed, Extractor, open_examples
from vitrail.features.open_images import Images, LeastSides, make_pixels
from vitrail.features.shard import ShardCost
from vitrail.features.stream import Batch

BLOCK_SHARE = 8  # one part in so many of the memory holds the pixels of a block
TURNS, LONG_S = 4, 2.0  # batches of every stream in one call of a network; one if so many take longer


@dataclass(frozen=True, slots=True)
class _Image:
    """An image with its pixels for each preprocessing, or the reason why there are none; `decode_s` is CPU time."""

    example: str
    owners: Sequence[Extractor]
    pixels: Mapping[Preprocessing, NDArray[np.uint8]]
    reason: str | None
    decode_s: float


def run_in_turn(
    task: str,
    source: Reader,
    paths: Paths,
    missing: Missing[Extractor],
    max_pixels: int,
    resources: Resources,
    copies: CopyCollector | None,
) -> tuple[dict[str, str], float]:
    """Compute what is missing, as `run_pass` does; `task` is what its progress is called."""
    open_one, progress = open_examples(source, paths, max_pixels, copies), resources.progress
    examples, block = iter(missing), _count_block(missing.owners)
    rejected: dict[str, str] = {}
    decode_s, rows = 0.0, sum(missing.count(owner) for owner in missing.owners)
    with phase(progress, "features"), running(progress, task, total=rows, unit="rows"):
        while some := list(islice(examples, block)):
            with_owners = [(example, missing[example]) for example in some]
            reasons, spent = _run_block(task, with_owners, missing, open_one, resources)
            return_freed_memory()  # no image of the block is left when the next one is decoded
            rejected |= reasons
            decode_s += spent
    return rejected, decode_s


def _count_block(owners: Sequence[Extractor]) -> int:
    """How many images are decoded at a time, at least one."""
    preprocessings = {owner.backbone.card.preprocessing for owner in owners}
    image_bytes = sum(3 * wanted.crop**2 for wanted in preprocessings)
    return max(1, usable_memory() // BLOCK_SHARE // image_bytes)


def _run_block(
    task: str,
    examples: Sequence[tuple[str, Sequence[Extractor]]],
    missing: Missing[Extractor],
    open_one: Callable[[str, LeastSides], Images],
    resources: Resources,
) -> tuple[dict[str, str], float]:
    images = _decode(examples, open_one, resources.threads.decode)
    for owner in missing.owners:
        its = [image for image in images if owner in image.owners]
        readable = [image for image in its if image.reason is None]
        resources.progress.advance(task, len(its) - len(readable))
        if readable:
            with closing(_answer(owner, readable, missing.count(owner), resources)) as counts:
                for count in counts:
                    resources.progress.advance(task, count)
    rejected = {image.example: image.reason for image in images if image.reason is not None}
    return rejected, sum(image.decode_s for image in images)


def _decode(
    examples: Sequence[tuple[str, Sequence[Extractor]]],
    open_one: Callable[[str, LeastSides], Images],
    threads: int,
) -> list[_Image]:
    def decode(item: tuple[str, Sequence[Extractor]]) -> _Image:
        example, owners = item
        begun = time.thread_time()
        with one_item():
            try:
                wanted = {owner.backbone.card.preprocessing for owner in owners}
                pixels = make_pixels(partial(open_one, example), wanted)
            except ImageRejected as rejection:
                return _Image(example, owners, {}, rejection.reason, 0.0)
        return _Image(example, owners, pixels, None, time.thread_time() - begun)

    with ThreadPool(threads, thread_name_prefix="decode") as pool:
        return list(in_order(pool, decode, examples, ahead=2 * threads))


def _answer(owner: Extractor, images: Sequence[_Image], missing: int, resources: Resources) -> Generator[int]:
    """Start a network, compute and store its rows of these images, and let it go.

    An image's decoding is shared equally among the networks that it was decoded for. Whatever ends the work, the rows
    that came of it are stored.

    Yields:
        int: how many rows were computed.
    """
    with phase(resources.progress, "starting networks"):
        network = owner.start(images=missing, resources=resources)
    waiting, turns = list(images), 1
    computed, user_s = Computed(), 0.0
    try:
        while waiting:
            begun, begun_user = time.monotonic(), user_seconds()
            count = network.engine.batch * network.engine.streams * turns
            some, waiting = waiting[:count], waiting[count:]
            feature_BD = network.compute(np.stack([image.pixels[network.preprocessing] for image in some]))
            batch = Batch(
                network=network,
                number=0,  # they come in order
                items=[image.example for image in some],
                reasons=[None] * len(some),
                feature_BD=feature_BD,
                forward_s=time.monotonic() - begun,
                decode_s=sum(image.decode_s / len(image.owners) for image in some),
            )
            user_s += user_seconds() - begun_user
            computed.add(batch)
            turns = TURNS if batch.forward_s / turns * TURNS < LONG_S else 1
            if computed.fills_a_shard():
                full, cost = computed, _cost(owner, computed, user_s, resources)
                computed, user_s = Computed(), 0.0  # what cannot be written is not tried twice
                owner.write(full, cost)
            yield len(some)
    finally:
        owner.stop()
        owner.write(computed, _cost(owner, computed, user_s, resources))


def _cost(owner: Extractor, computed: Computed, user_s: float, resources: Resources) -> ShardCost:
    on_processor = owner.backbone.engine.device == "cpu"
    return ShardCost(
        forward_s=user_s / resources.threads.compute if on_processor else computed.forward_s,
        decode_s=computed.decode_s,
        user_s=user_s + computed.decode_s,
    )
