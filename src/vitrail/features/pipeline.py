"""From a data set and its backbones to their features: only the rows that are missing are computed.

What cannot be decoded is set aside for all backbones.

Letters: N rows, D features.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.backbones import PIXEL_CODE_VERSION, Backbone
from vitrail.backbones.engines import FORWARD_CODE_VERSION
from vitrail.backbones.poolings import join_poolings, take_pooling
from vitrail.core.errors import WeightsError
from vitrail.core.hashing import fingerprint
from vitrail.core.resources import Resources
from vitrail.data import CopyCollector, Dataset, Reader, SetAside
from vitrail.features.by_id import Missing, Paths
from vitrail.features.in_turn import run_in_turn
from vitrail.features.one_pass import Extractor, find_missing, run_pass
from vitrail.features.part import Part
from vitrail.features.store import FeatureSet, RowReader

ROWS_AT_ONCE = 4096  # of `blocks`
ROWS_COMPARED = 64  # at a time
SAME = 1e-6  # of the largest value; rounding depends on an image's place in a batch

Pass = Callable[[Reader, Paths, Missing[Extractor], int, Resources, CopyCollector | None], tuple[dict[str, str], float]]
Fill = Callable[[Sequence[Extractor], Paths, NDArray[np.bool_]], tuple[dict[str, str], float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What the rows of these images cost when they were computed, now or before; `computed` of them were computed now.

    `forward_s` is CPU time in the network divided by the cores it had, or clock time on a GPU. `decode_s` is CPU time
    of reading and resizing, and of making grey copies where there were none.
    """

    images: int
    computed: int
    forward_s: float
    decode_s: float
    user_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """One backbone's rows for one data set, memory-mapped, found by example id.

    `rows` gives `pooling`, at first the card's; each of `poolings` is there without another pass. `width` is that of
    one component of a pooling.
    """

    backbone: str
    key: str
    width: int
    pooling: str
    poolings: tuple[str, ...]
    cost: Cost
    stored: FeatureSet = field(repr=False)

    def rows(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """The rows of these examples, in this order; raises KeyError if one has none.

        Returns:
            N x D in float32; D is `width` times the components of the pooling.
        """
        return take_pooling(self.stored.rows(ids), held=join_poolings(self.poolings), wanted=self.pooling)

    def reader(self, ids: Sequence[str]) -> "PooledReader":
        """Reads rows of these examples when they are needed; raises KeyError if one has none."""
        return PooledReader(self.stored.reader(ids), join_poolings(self.poolings), self.pooling)

    def blocks(self, ids: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        """The rows of these examples, ROWS_AT_ONCE at a time, so that memory does not grow with their number."""
        reader = self.reader(ids)
        for start in range(0, len(reader), ROWS_AT_ONCE):
            yield reader[np.arange(start, min(start + ROWS_AT_ONCE, len(reader)))]

    def pooled(self, pooling: str) -> "Features":
        """The same features with another of its poolings."""
        return replace(self, pooling=pooling)


@dataclass(frozen=True, slots=True)
class PooledReader:
    """Rows of some examples in one pooling, which stay in the store until they are read."""

    stored: RowReader
    held: str
    pooling: str

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows with these numbers, in this order."""
        return take_pooling(self.stored[rows], held=self.held, wanted=self.pooling)


@dataclass(frozen=True, kw_only=True, slots=True)
class Extraction:
    """The features of every backbone, in the order of the backbones, and what no backbone can use.

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
    fill_rows: Fill | None = None,
    copies: CopyCollector | None = None,
) -> Extraction:
    """Compute only the missing rows: one for each backbone and example that can be decoded.

    Backbones with the same key, such as one under two recipes that prepare images alike, share their rows.

    Args:
        dataset: the examples.
        backbones: with their engines.
        max_pixels: larger images are set aside.
        resources: without a batch, `features/pace.py` finds the best.
        part: compute only the rows of these examples, for several machines that share a cache.
        fill_rows: computes the rows; None for one pass of all networks in this process.
        copies: receives the bytes of every image that this process reads.

    Raises:
        WeightsError: a backbone's features are not finite, or the same for all images.
    """
    keys = [fingerprint(_facts(backbone)) for backbone in backbones]
    extractor_of: dict[str, Extractor] = {}
    for key, backbone in zip(keys, backbones, strict=True):
        if key not in extractor_of:
            extractor_of[key] = open_extractor(backbone, resources.cache)
    extractors = list(extractor_of.values())
    paths = Paths(dataset.table)
    wanted_N = np.ones(len(paths), np.bool_) if part is None else part.of_ids(paths.ids)
    wanted = paths.some_ids(wanted_N)
    for extractor in extractors:
        extractor.stored.mark_used()
        extractor.stored.delete_leftovers()
        for name in extractor.stored.set_damaged_aside():
            resources.progress.note(
                f"The shard {name} of {extractor.backbone.name} is damaged; its rows are computed again."
            )
    before = {key: int(extractor.stored.has(wanted).sum()) for key, extractor in extractor_of.items()}
    here = partial(fill, source=dataset.source, max_pixels=max_pixels, resources=resources, copies=copies)
    rejected, decode_s = (fill_rows or here)(extractors, paths, wanted_N)
    unreadable = tuple(sorted(rejected))
    readable = paths.some_ids(paths.less(wanted_N, unreadable))
    features = tuple(
        _features(backbone, extractor_of[key], readable, len(readable) - before[key])
        for key, backbone in zip(keys, backbones, strict=True)
    )
    for rows in features:
        _require_distinct(rows, readable)
    return Extraction(
        features=features,
        set_aside=tuple(
            SetAside(path=path, reason=rejected[id_], kind="unreadable") for id_ in unreadable for path in paths[id_]
        ),
        unreadable_ids=unreadable,
        decode_s=decode_s,
    )


def fill(
    extractors: Sequence[Extractor],
    paths: Paths,
    wanted_N: NDArray[np.bool_],
    *,
    source: Reader,
    max_pixels: int,
    resources: Resources,
    copies: CopyCollector | None = None,
    run: Pass = run_pass,
) -> tuple[dict[str, str], float]:
    """Compute in this process every row that the extractors lack of the wanted examples, by passes of `run`.

    Returns:
        Why some examples cannot be decoded, by id, and the CPU time of decoding in seconds.
    """
    rejected: dict[str, str] = {}
    decode_s = 0.0
    waiting = list(extractors)
    while waiting:
        missing = find_missing(waiting, paths, paths.less(wanted_N, rejected))
        if missing:
            reasons, spent = run(source, paths, missing, max_pixels, resources, copies)
            rejected |= reasons
            decode_s += spent
        waiting = [extractor for extractor in waiting if extractor.too_narrow]
        for extractor in waiting:
            extractor.widen(resources.cache)
    return rejected, decode_s


def take_turns(dataset: Dataset, task: str, *, max_pixels: int, resources: Resources) -> Fill:
    """What computes rows of a data set's examples with one network in memory at a time, for few images.

    `task` is what its progress is called.
    """
    return partial(
        fill, source=dataset.source, max_pixels=max_pixels, resources=resources, run=partial(run_in_turn, task)
    )


def open_extractor(backbone: Backbone, cache: Path) -> Extractor:
    """A backbone with the rows that it has; raises StoreError if they cannot be listed."""
    return Extractor(backbone, join_poolings(_poolings(backbone)), _facts(backbone), cache)


def _features(backbone: Backbone, extractor: Extractor, ids: pa.Array, computed: int) -> Features:
    cost = extractor.stored.cost(ids)
    return Features(
        backbone=backbone.name,
        key=extractor.stored.key,
        width=backbone.card.feature_width,
        pooling=backbone.card.pooling,
        poolings=_poolings(backbone),
        cost=Cost(
            images=len(ids),
            computed=computed,
            forward_s=cost.forward_s,
            decode_s=cost.decode_s,
            user_s=cost.user_s,
        ),
        stored=extractor.stored,
    )


def _require_distinct(features: Features, ids: pa.Array) -> None:
    """Refuse a backbone whose features do not depend on the image: no head can tell such images apart.

    Rows are read until two differ, which the first ones nearly always do.

    Raises:
        WeightsError: all images, two or more, have the same features.
    """
    first_D = None
    for start in range(0, len(ids), ROWS_COMPARED):
        feature_ND = features.rows(ids[start : start + ROWS_COMPARED])
        first_D = feature_ND[0] if first_D is None else first_D
        if np.abs(feature_ND - first_D).max() > SAME * np.abs(first_D).max():
            return
    if len(ids) > 1:
        raise WeightsError(
            f"{features.backbone} gives all {len(ids):,} images the same features: its weights are empty or damaged, "
            "or all images look alike. Check its weights, or leave it out."
        )


def _poolings(backbone: Backbone) -> tuple[str, ...]:
    """What its rows hold; the card's own pooling first, so that it stands first in a row."""
    return tuple(dict.fromkeys((backbone.card.pooling, *backbone.card.poolings)))


def _facts(backbone: Backbone) -> dict[str, object]:
    """Everything that changes a feature, except how it is stored."""
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
