"""Backbones opened under their recipes, and one pass of all of them over the images, here or on a cluster."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from vitrail.backbones import Backbone, BackboneSpec, EngineRequest, open_backbone
from vitrail.backbones.engines import choose_engine
from vitrail.backbones.opening import require_fitting_weights
from vitrail.backbones.poolings import widest
from vitrail.backbones.remembered import remember_given
from vitrail.candidates.decoding import choose_decoding
from vitrail.candidates.held_race import HeldRace
from vitrail.candidates.options import BenchOptions
from vitrail.candidates.parity import compared_images, in_float32
from vitrail.candidates.recipes import Entry, make_entries
from vitrail.core.machine import Threads
from vitrail.core.progress import phase
from vitrail.core.resources import Resources
from vitrail.data import CopyCollector, Dataset, Split
from vitrail.features import Extraction, Part, attach_range_images, extract, take_turns
from vitrail.features.cluster import Cluster, join
from vitrail.features.engine_choice import settle_among, settle_engine
from vitrail.search.memory import measure_need, require_kinds


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """Every backbone under every recipe, with its features. `threads` are those that one process of the pass had.

    `extract_again` computes the features of other backbones on the same machines. `race` chose the backbones; None if
    all that were named or chosen take part.
    """

    entries: tuple[Entry, ...]
    extraction: Extraction
    threads: Threads
    extract_again: Callable[[Sequence[Backbone]], Extraction] = field(repr=False)
    race: HeldRace | None = None

    @property
    def decode_s(self) -> float:
        """The CPU time that decoding took now, for the race too."""
        return self.extraction.decode_s + (self.race.decode_s if self.race else 0.0)


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

    def join_machines() -> AbstractContextManager[Cluster | None]:
        if cluster is None:
            return nullcontext()
        request, max_pixels = options.engine_request, options.max_pixels
        return join(
            cluster, dataset, split.train, data=data, request=request, max_pixels=max_pixels, resources=resources
        )

    def extract_all(backbones: Sequence[Backbone], machines: Cluster | None) -> Extraction:
        if machines is None:
            return extract_here(dataset, backbones, options, resources=resources)
        return _extract_there(dataset, backbones, split, options, machines, resources=resources)

    def extract_again(backbones: Sequence[Backbone]) -> Extraction:
        with join_machines() as machines:
            return extract_all(backbones, machines)

    with join_machines() as machines:
        entries = open_entries(specs, dataset, split, options, machines, resources=resources)
        extraction = extract_all([entry.backbone for entry in entries], machines)
        threads = resources.threads if machines is None else machines.threads
    remember_given(specs, [entry.backbone for entry in entries], resources.progress)
    return Prepared(entries=tuple(entries), extraction=extraction, threads=threads, extract_again=extract_again)


def check_request(specs: Sequence[BackboneSpec], options: BenchOptions, *, cluster: str | None) -> None:
    """Check what needs no image: that this machine has the engine and that local weights fit their networks.

    The engine of a cluster is checked by its machines.

    Raises:
        UsageError: the engine or precision is not there.
        WeightsError: a file does not fit its network, or is damaged.
    """
    if cluster is None:
        choose_engine(options.engine, options.precision)
    for spec in specs:
        require_fitting_weights(spec)


def needs_split(options: BenchOptions, cluster: str | None) -> bool:
    """Whether features must wait for near-duplicates, which may move images between splits."""
    return options.precision == "int8" or cluster is not None


def extract_here(
    dataset: Dataset,
    backbones: Sequence[Backbone],
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
            backbones,
            max_pixels=options.max_pixels,
            resources=resources,
            part=part,
            copies=copies,
        )


def _extract_there(
    dataset: Dataset,
    backbones: Sequence[Backbone],
    split: Split,
    options: BenchOptions,
    machines: Cluster,
    *,
    resources: Resources,
) -> Extraction:
    """The features by a cluster, and those for `measure_parity`, since this machine may lack the engine."""
    compute = partial(extract, max_pixels=options.max_pixels, resources=resources, fill_rows=machines.fill)
    extraction = compute(dataset, backbones)
    readable = split.without(extraction.unreadable_ids).test
    for precision in {backbone.engine.precision for backbone in backbones if readable} - {"fp32"}:
        alike = [in_float32(backbone) for backbone in backbones if backbone.engine.precision == precision]
        compute(compared_images(dataset, readable, precision), alike)
    return extraction


def open_entries(
    specs: Sequence[BackboneSpec],
    dataset: Dataset,
    split: Split,
    options: BenchOptions,
    machines: Cluster | None = None,
    *,
    resources: Resources,
) -> list[Entry]:
    """Open every backbone under every recipe, for int8 with the images that it takes its ranges from.

    How each decodes its images is settled here. `machines` are those of a cluster, which share a backbone's engine; if
    None, this machine settles the engines that the options ask for.

    Returns:
        One entry per recipe and backbone, recipe by recipe.

    Raises:
        UsageError: the heads of a recipe need more memory than they may take. No image has been read for features yet.
    """
    with phase(resources.progress, "starting networks"):
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
        _require_memory(make_entries(opened, options.recipes), split, options, classes=len(dataset.classes))
        settled = [_settle(backbone, dataset, options, machines, resources=resources) for backbone in opened]
        entries = make_entries(settled, options.recipes)
    backbones = [
        attach_range_images(entry.backbone, dataset, split.train, max_pixels=options.max_pixels) for entry in entries
    ]
    if machines is None:
        fill_rows = take_turns(dataset, "Ways to decode", max_pixels=options.max_pixels, resources=resources)
    else:
        fill_rows = machines.fill
    compute = partial(extract, max_pixels=options.max_pixels, resources=resources, fill_rows=fill_rows)
    decoding = choose_decoding(backbones, dataset, options.decode, compute)
    return [
        replace(entry, backbone=backbone, both_ways=both_ways)
        for entry, (backbone, both_ways) in zip(entries, decoding, strict=True)
    ]


def _require_memory(entries: Sequence[Entry], split: Split, options: BenchOptions, *, classes: int) -> None:
    for entry in entries:
        card = entry.backbone.card
        need = measure_need(split, width=widest(card.feature_width, (card.pooling, *card.poolings)), classes=classes)
        require_kinds(entry.backbone.name, entry.search_options(options.search).kinds, need)


def _settle(
    backbone: Backbone, dataset: Dataset, options: BenchOptions, machines: Cluster | None, *, resources: Resources
) -> Backbone:
    """The backbone with its engine and precision, which all machines of a cluster have."""
    if machines is None:
        return settle_engine(backbone, request=options.engine_request, dataset=dataset, resources=resources)
    return settle_among(
        backbone,
        request=options.engine_request,
        dataset=dataset,
        choices=machines.engines,
        measure=machines.try_engines,
        resources=resources,
    )
