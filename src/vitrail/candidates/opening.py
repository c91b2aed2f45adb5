"""Backbones opened under their recipes, and one pass of all of them over the images, here or on a cluster."""

from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from vitrail.backbones import BackboneSpec, EngineChoice, EngineRequest, open_backbone
from vitrail.candidates.options import BenchOptions
from vitrail.candidates.parity import compared_images, in_float32
from vitrail.candidates.recipes import Entry, make_entries
from vitrail.core.machine import Threads
from vitrail.core.progress import phase
from vitrail.core.resources import Resources
from vitrail.data import CopyCollector, Dataset, Split
from vitrail.features import Extraction, Part, attach_range_images, extract
from vitrail.features.cluster import join


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """Every backbone under every recipe, with its features. `threads` are those that one process of the pass had."""

    entries: tuple[Entry, ...]
    extraction: Extraction
    threads: Threads


def prepare(
    specs: Sequence[BackboneSpec],
    dataset: Dataset,
    split: Split | None,
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
        split: None unless `needs_split`: int8 takes its ranges from the train split, and a cluster's machines are sent
            those images; nothing else here depends on it.
        options: of the benchmark.
        data: as `bench` takes it, for the machines of a cluster.
        cluster: a Ray cluster that computes the features, "auto" or host:port; this machine if None.
        resources: of this command.
    """
    if cluster is None:
        train = () if split is None else split.train
        entries = open_entries(specs, dataset, train, options, resources=resources)
        extraction = extract_here(dataset, entries, options, resources=resources)
        return Prepared(entries=tuple(entries), extraction=extraction, threads=resources.threads)
    assert split is not None  # as needs_split says
    with join(
        cluster,
        dataset,
        split.train,
        data=data,
        request=options.engine_request,
        max_pixels=options.max_pixels,
        resources=resources,
    ) as machines:
        entries = open_entries(specs, dataset, split.train, options, resources=resources, engine=machines.engine)
        backbones = [entry.backbone for entry in entries]
        extraction = extract(
            dataset, backbones, max_pixels=options.max_pixels, resources=resources, elsewhere=machines.fill
        )
        readable = split.without(extraction.unreadable_ids).test
        if readable and machines.engine.precision != "fp32":  # for measure_parity: this machine may lack the engine
            extract(
                compared_images(dataset, readable, machines.engine.precision),
                [in_float32(backbone) for backbone in backbones],
                max_pixels=options.max_pixels,
                resources=resources,
                elsewhere=machines.fill,
            )
        return Prepared(entries=tuple(entries), extraction=extraction, threads=machines.threads)


def needs_split(options: BenchOptions, cluster: str | None) -> bool:
    """Whether features cannot be computed before the split is known."""
    return options.precision == "int8" or cluster is not None


def extract_here(
    dataset: Dataset,
    entries: Sequence[Entry],
    options: BenchOptions,
    *,
    resources: Resources,
    part: Part | None = None,
) -> Extraction:
    """Compute on this machine the features that are missing, of all examples or of a part.

    If near-duplicates are searched, their grey copies are made from the same read of each file.
    """
    collector = CopyCollector(dataset, max_pixels=options.max_pixels, cache=resources.cache)
    with closing(collector) if options.near_duplicates else nullcontext() as copies:
        return extract(
            dataset,
            [entry.backbone for entry in entries],
            max_pixels=options.max_pixels,
            resources=resources,
            part=part,
            copies=copies,
        )


def open_entries(
    specs: Sequence[BackboneSpec],
    dataset: Dataset,
    train: Sequence[str],
    options: BenchOptions,
    *,
    resources: Resources,
    engine: EngineChoice | None = None,
) -> list[Entry]:
    """Open every backbone under every recipe, for int8 with the images that it takes its ranges from.

    `train` are the ids of the train split, which only int8 needs. `engine` is the engine of a cluster; if None, this
    machine chooses the engine that the options ask for.

    Returns:
        One entry per recipe and backbone, recipe by recipe.
    """
    request = options.engine_request if engine is None else EngineRequest()
    with phase(resources.progress, "starting networks"):
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
    if engine is not None:
        opened = [replace(backbone, engine=engine) for backbone in opened]
    return [
        replace(entry, backbone=attach_range_images(entry.backbone, dataset, train, max_pixels=options.max_pixels))
        for entry in make_entries(opened, options.recipes)
    ]
