"""From a data set and its backbones to their features: only the rows that are missing are computed.

What cannot be decoded is set aside for all backbones.

Letters: N rows, D features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.backbones import PIXEL_CODE_VERSION, Backbone
from vitrail.backbones.engines import FORWARD_CODE_VERSION
from vitrail.backbones.poolings import join_poolings, take_pooling
from vitrail.core.resources import Resources
from vitrail.data import Dataset, SetAside, Source
from vitrail.features.by_id import Missing, Paths
from vitrail.features.one_pass import Lane, OnePass
from vitrail.features.part import Part
from vitrail.features.store import FeatureSet

Fill = Callable[[Sequence[Lane], Paths, NDArray[np.bool_]], tuple[dict[str, str], float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What the rows of these images cost when they were computed, now or before; `computed` of them were computed now.

    `forward_s` is CPU time in the network divided by the cores it had, or clock time on a GPU. `decode_s` is CPU time
    of reading and resizing.
    """

    images: int
    computed: int
    forward_s: float
    decode_s: float
    user_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """One backbone's rows for one data set, memory-mapped, found by example id.

    `rows` gives `pooling`, at first the card's; every one of `poolings` can be had without another pass. `width` is
    that of one part of a pooling.
    """

    backbone: str
    key: str
    width: int
    pooling: str
    poolings: tuple[str, ...]
    cost: Cost
    stored: FeatureSet = field(repr=False)

    def rows(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """The rows of these examples, in this order; raises KeyError for one that has none.

        Args:
            ids: the examples.

        Returns:
            N x D in float32; D is `width` times the parts of the pooling.
        """
        return take_pooling(self.stored.rows(ids), held=join_poolings(self.poolings), wanted=self.pooling)

    def pooled(self, pooling: str) -> "Features":
        """The same with the rows of another of its poolings."""
        return replace(self, pooling=pooling)


@dataclass(frozen=True, kw_only=True, slots=True)
class Extraction:
    """The features of every backbone, in the order they were asked for, and what no backbone can use.

    `decode_s` is the CPU time that decoding took now, not in earlier runs.
    """

    features: tuple[Features, ...]
    set_aside: tuple[SetAside, ...]
    unreadable_ids: tuple[str, ...]
    decode_s: float


def extract(
    dataset: Dataset,
    backbones: Sequence[Backbone],
    *,
    max_pixels: int,
    resources: Resources,
    part: Part | None = None,
    elsewhere: Fill | None = None,
) -> Extraction:
    """Compute the rows that are missing, and only those.

    Args:
        dataset: the examples.
        backbones: each gets a row of every example that can be decoded.
        max_pixels: larger images are set aside.
        resources: with the cache that keeps the rows; without a batch, `features/pace.py` finds the best.
        part: only these examples, where several machines share a cache; all of them where None.
        elsewhere: computes the rows in place of this process.

    Returns:
        The features, and what could not be read.
    """
    pa.default_memory_pool().release_unused()  # what reading and splitting left is not kept beside the networks
    lanes = [open_lane(backbone, resources.cache) for backbone in backbones]
    paths = Paths(dataset.table)
    wanted_N = np.ones(len(paths), np.bool_) if part is None else part.of_ids(paths.ids)
    wanted = paths.some_ids(wanted_N)
    before = [int(lane.stored.has(wanted).sum()) for lane in lanes]
    for lane in lanes:
        for name in lane.stored.damaged:
            resources.progress.note(
                f"The shard {name} of {lane.backbone.name} is damaged; its rows are computed again."
            )
    here = partial(fill, source=dataset.source, max_pixels=max_pixels, resources=resources)
    rejected, decode_s = (elsewhere or here)(lanes, paths, wanted_N)
    unreadable = tuple(sorted(rejected))
    readable = paths.some_ids(paths.less(wanted_N, unreadable))
    return Extraction(
        features=tuple(_features(lane, readable, len(readable) - had) for lane, had in zip(lanes, before, strict=True)),
        set_aside=tuple(
            SetAside(path=path, reason=rejected[id_], kind="unreadable") for id_ in unreadable for path in paths[id_]
        ),
        unreadable_ids=unreadable,
        decode_s=decode_s,
    )


def fill(
    lanes: Sequence[Lane],
    paths: Paths,
    wanted_N: NDArray[np.bool_],
    *,
    source: Source,
    max_pixels: int,
    resources: Resources,
) -> tuple[dict[str, str], float]:
    """Compute every row that is missing, here.

    Args:
        lanes: one a backbone; they have the rows in the end.
        paths: the examples.
        wanted_N: which of them.
        source: where their images are read.
        max_pixels: larger images cannot be read.
        resources: as for `extract`.

    Returns:
        Why some cannot be read, and the CPU time of decoding in seconds.
    """
    rejected: dict[str, str] = {}
    decode_s = 0.0
    waiting = list(lanes)
    while waiting:
        readable_N = paths.less(wanted_N, rejected)
        missing = Missing(paths, waiting, [readable_N & ~lane.stored.has(paths.ids) for lane in waiting])
        if missing:
            done = OnePass(source, paths, missing, max_pixels, resources)
            rejected |= done.run()
            decode_s += done.decode_s
        waiting = [lane for lane in waiting if lane.too_narrow]
        for lane in waiting:
            lane.widen(resources.cache)
    return rejected, decode_s


def open_lane(backbone: Backbone, cache: Path) -> Lane:
    """A backbone with the rows that it has; StoreError where they cannot be listed."""
    return Lane(backbone, join_poolings(_poolings(backbone)), _facts(backbone), cache)


def _features(lane: Lane, ids: pa.Array, computed: int) -> Features:
    cost = lane.stored.cost(ids)
    return Features(
        backbone=lane.backbone.name,
        key=lane.stored.key,
        width=lane.backbone.card.feature_width,
        pooling=lane.backbone.card.pooling,
        poolings=_poolings(lane.backbone),
        cost=Cost(
            images=len(ids),
            computed=computed,
            forward_s=cost.forward_s,
            decode_s=cost.decode_s,
            user_s=cost.user_s,
        ),
        stored=lane.stored,
    )


def _poolings(backbone: Backbone) -> tuple[str, ...]:
    """What its rows hold; the card's own pooling first, so that it stands first in a row."""
    return tuple(dict.fromkeys((backbone.card.pooling, *backbone.card.poolings)))


def _facts(backbone: Backbone) -> dict[str, object]:
    """Everything that changes a feature, but for how it is stored."""
    engine = backbone.engine
    return {
        "weights": backbone.digest,
        "net": backbone.card.network_facts(),
        "preprocessing": backbone.card.pixel_facts(),
        "engine": engine.name,
        "engine_version": engine.version,
        "device": engine.device,
        "forward_code": FORWARD_CODE_VERSION,
        "precision": engine.precision,
        "ranges": engine.ranges,
        "poolings": join_poolings(_poolings(backbone)),
        "pixel_code": PIXEL_CODE_VERSION,
        **({"quantiser": engine.quantiser, "rest": engine.rest} if engine.precision == "int8" else {}),
    }
