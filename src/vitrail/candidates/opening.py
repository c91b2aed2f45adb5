"""Backbones opened under their recipes, and one pass of all of them over the images, here or on a cluster."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from vitrail.backbones import Backbone, BackboneSpec, EngineRequest, open_backbone
from vitrail.candidates.decoding import Compute, choose_decoding
from vitrail.candidates.options import BenchOptions
from vitrail.candidates.parity import compared_images, in_float32
from vitrail.candidates.recipes import Entry, make_entries
from vitrail.core.machine import Threads
from vitrail.core.resources import Resources
from vitrail.data import Dataset, Split
from vitrail.features import Extraction, attach_range_images, extract
from vitrail.features.cluster import Cluster, join


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """Every backbone under every recipe, with its features. `threads` are those that one process of the pass had.

    `extract_again` computes the features of other backbones on the same machines.
    """

    entries: tuple[Entry, ...]
    extraction: Extraction
    threads: Threads
    extract_again: Callable[[Sequence[Backbone]], Extraction] = field(repr=False)


def prepare(
    specs: Sequence[BackboneSpec],
    dataset: Dataset,
    split: Split,
    options: BenchOptions,
    *,
    data: str | Path | None,
    cluster: str | None,
    resources: Resources,
) -> Prepared:
    """Open every backbone and compute the features that are missing.

    Args:
        specs: the backbones that were named.
        dataset: the examples, which may be more than the split has.
        split: int8 takes its ranges from the train split; nothing else here depends on it.
        options: of the benchmark.
        data: as `bench` takes it, for the machines of a cluster.
        cluster: a Ray cluster that computes the features, "auto" or host:port; this machine if None.
        resources: of this command.
    """

    def join_machines() -> AbstractContextManager[Cluster | None]:
        if cluster is None:
            return nullcontext()
        request, max_pixels = options.engine_request, options.max_pixels
        return join(
            cluster, dataset, split.train, data=data, request=request, max_pixels=max_pixels, resources=resources
        )

    def extract_again(backbones: Sequence[Backbone]) -> Extraction:
        with join_machines() as machines:
            return _extract(backbones, dataset, split, options, machines, resources=resources)

    with join_machines() as machines:
        entries = open_entries(specs, dataset, split, options, machines, resources=resources)
        extraction = _extract(
            [entry.backbone for entry in entries], dataset, split, options, machines, resources=resources
        )
        threads = resources.threads if machines is None else machines.threads
    return Prepared(entries=tuple(entries), extraction=extraction, threads=threads, extract_again=extract_again)


def _extract(
    backbones: Sequence[Backbone],
    dataset: Dataset,
    split: Split,
    options: BenchOptions,
    machines: Cluster | None,
    *,
    resources: Resources,
) -> Extraction:
    """The features of all examples; on a cluster also those for `measure_parity`: this machine may lack its engine."""
    compute = _extract_on(machines, options, resources)
    extraction = compute(dataset, backbones)
    readable = split.without(extraction.unreadable_ids).test
    if machines is not None and readable and machines.engine.precision != "fp32":
        compared = compared_images(dataset, readable, machines.engine.precision)
        compute(compared, [in_float32(backbone) for backbone in backbones])
    return extraction


def _extract_on(machines: Cluster | None, options: BenchOptions, resources: Resources) -> Compute:
    """The extraction on a cluster, or on this machine if it is None."""
    elsewhere = None if machines is None else machines.fill
    return partial(extract, max_pixels=options.max_pixels, resources=resources, elsewhere=elsewhere)


def open_entries(
    specs: Sequence[BackboneSpec],
    dataset: Dataset,
    split: Split,
    options: BenchOptions,
    machines: Cluster | None = None,
    *,
    resources: Resources,
) -> list[Entry]:
    """Open every backbone under every recipe, for int8 with the train images that it takes its ranges from.

    How each decodes its images is settled here. `machines` are those of a cluster, whose engine runs the backbones; if
    None, this machine chooses the engine that the options ask for.

    Returns:
        One entry per recipe and backbone, recipe by recipe.
    """
    request = options.engine_request if machines is None else EngineRequest()
    opened = [
        open_backbone(
            spec,
            engine=request.engine,
            precision=request.precision,
            offline=resources.offline,
            progress=resources.progress,
        )
        for spec in specs
    ]
    if machines is not None:
        opened = [replace(backbone, engine=machines.engine) for backbone in opened]
    entries = make_entries(opened, options.recipes)
    backbones = [
        attach_range_images(entry.backbone, dataset, split.train, max_pixels=options.max_pixels) for entry in entries
    ]
    decoding = choose_decoding(backbones, dataset, options.decode, _extract_on(machines, options, resources))
    return [
        replace(entry, backbone=backbone, both_ways=both_ways)
        for entry, (backbone, both_ways) in zip(entries, decoding, strict=True)
    ]
