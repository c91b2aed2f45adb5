"""Backbones opened under their recipes, and one pass of all of them over the images, here or on a cluster."""

from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vitrail.backbones import Backbone, BackboneSpec, EngineRequest, open_backbone
from vitrail.backbones.poolings import widest
from vitrail.candidates.options import BenchOptions
from vitrail.candidates.parity import compared_images, in_float32
from vitrail.candidates.recipes import Entry, make_entries
from vitrail.core.machine import Threads
from vitrail.core.progress import phase
from vitrail.core.resources import Resources
from vitrail.data import CopyCollector, Dataset, Split
from vitrail.features import Extraction, Part, attach_range_images, extract
from vitrail.features.cluster import join
from vitrail.features.engine_choice import settle_among, settle_engine
from vitrail.search.memory import measure_need, require_kinds


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """Every backbone under every recipe, with its features. `threads` are those that one process of the pass had."""

    entries: tuple[Entry, ...]
    extraction: Extraction
    threads: Threads


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
        split: may change later, unless `needs_split`: int8 takes its ranges from the train split, and a cluster's
            machines are sent those images; else only the number of images to train on matters here.
        options: of the benchmark.
        data: as `bench` takes it, for the machines of a cluster.
        cluster: a Ray cluster that computes the features, "auto" or host:port; this machine if None.
        resources: of this command.
    """
    if cluster is None:
        entries = open_entries(specs, dataset, split, options, resources=resources)
        extraction = extract_here(dataset, entries, options, resources=resources)
        return Prepared(entries=tuple(entries), extraction=extraction, threads=resources.threads)
    with join(
        cluster,
        dataset,
        split.train,
        data=data,
        request=options.engine_request,
        max_pixels=options.max_pixels,
        resources=resources,
    ) as machines:
        settle = partial(
            settle_among,
            request=options.engine_request,
            dataset=dataset,
            choices=machines.engines,
            measure=machines.try_engines,
            resources=resources,
        )
        entries = open_entries(specs, dataset, split, options, resources=resources, settle=settle)
        backbones = [entry.backbone for entry in entries]
        extraction = extract(
            dataset, backbones, max_pixels=options.max_pixels, resources=resources, elsewhere=machines.fill
        )
        readable = split.without(extraction.unreadable_ids).test
        for precision in {backbone.engine.precision for backbone in backbones if readable} - {"fp32"}:
            extract(  # for measure_parity: this machine may lack the engine
                compared_images(dataset, readable, precision),
                [in_float32(backbone) for backbone in backbones if backbone.engine.precision == precision],
                max_pixels=options.max_pixels,
                resources=resources,
                elsewhere=machines.fill,
            )
        return Prepared(entries=tuple(entries), extraction=extraction, threads=machines.threads)


def needs_split(options: BenchOptions, cluster: str | None) -> bool:
    """Whether features cannot be computed before near-duplicates have had their say in the split."""
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
    split: Split,
    options: BenchOptions,
    *,
    resources: Resources,
    settle: Callable[[Backbone], Backbone] | None = None,
) -> list[Entry]:
    """Open every backbone under every recipe, for int8 with the images that it takes its ranges from.

    `settle` gives a backbone the engine of a cluster; if None, this machine settles what the options ask for.

    Returns:
        One entry per recipe and backbone, recipe by recipe.

    Raises:
        UsageError: the heads of a recipe need more memory than they may take. No image has been read for features yet.
    """
    request = options.engine_request if settle is None else EngineRequest()
    settle = settle or partial(settle_engine, request=request, dataset=dataset, resources=resources)
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
        _require_memory(make_entries(opened, options.recipes), split, options, classes=len(dataset.classes))
        settled = [settle(backbone) for backbone in opened]
    return [
        replace(
            entry, backbone=attach_range_images(entry.backbone, dataset, split.train, max_pixels=options.max_pixels)
        )
        for entry in make_entries(settled, options.recipes)
    ]


def _require_memory(entries: Sequence[Entry], split: Split, options: BenchOptions, *, classes: int) -> None:
    for entry in entries:
        card = entry.backbone.card
        need = measure_need(split, width=widest(card.feature_width, (card.pooling, *card.poolings)), classes=classes)
        require_kinds(entry.backbone.name, entry.search_options(options.search).kinds, need)
