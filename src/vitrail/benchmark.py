"""The walk: from labelled images to a decision. Each step of `bench` is one arrow of docs/architecture.md."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from vitrail.backbones import BackboneSpec
from vitrail.backbones.classifier import read_classifier
from vitrail.candidates.options import BenchOptions, chosen_specs, open_all
from vitrail.candidates.parity import compared_images, in_float32, measure_parity
from vitrail.candidates.recipes import Entry
from vitrail.candidates.thresholds import predict_calibration, refusal_of
from vitrail.candidates.traces import find_traces
from vitrail.core.hashing import fingerprint
from vitrail.core.machine import Threads, cache_folder, share_threads, usable_cores
from vitrail.core.progress import Progress, Silent
from vitrail.data import (
    Dataset,
    NearPair,
    Split,
    find_near_duplicates,
    keep_together,
    load,
    make_split,
    open_source,
    require_enough,
)
from vitrail.delivery.report import Images, write_report
from vitrail.evaluation import Contestant, judge
from vitrail.features import Extraction, Features, extract
from vitrail.features.cluster import join
from vitrail.heads import probabilities
from vitrail.heads.refusal import Refusal
from vitrail.runs import (
    FINISHED,
    Clock,
    Run,
    default_folder,
    enter_folder,
    forget_steps,
    load_run,
    steps_folder,
    summarise,
    write_receipt,
    write_run,
)
from vitrail.search import Search, tune


def bench(
    data: str | Path | None = None,
    backbones: Sequence[str] = (),
    *,
    out: Path | None = None,
    options: BenchOptions | None = None,
    offline: bool = False,
    threads: int | None = None,
    batch: int | None = None,
    cluster: str | None = None,
    command: str = "vitrail.bench",
    progress: Progress | None = None,
) -> Run:
    """Compare frozen backbones on labelled images and say which to build on.

    UsageError where the question does not fit together or `out` holds another run.

    Args:
        data: a folder with one folder of images a class, a manifest (CSV, Parquet), an archive, shards, Parquet with
            images, or the URL of one of these; None for scikit-learn's digits.
        backbones: "NAME" of the catalogue or "NAME=FILE"; may be empty for the digits, which have two of ours.
        out: the run folder; runs/<data>-<8 digits> where None.
        options: what may change the answer; defaults where None.
        offline: never use the network.
        threads: cores that read the images and run the backbones; all that this process may where None.
        batch: images a batch; what is fastest here where None. With OpenVINO neither changes a feature.
        cluster: a Ray cluster whose machines compute the features, "auto" or host:port; this machine where None. Data
            and cache must lie where all of them see it.
        command: how the run was asked for, kept in the results.
        progress: who is told how far the work is.

    Returns:
        The finished run; the one that was finished before, where the same was asked before.
    """
    clock, options, progress = Clock(), options or BenchOptions(), progress or Silent()
    specs = chosen_specs(data, backbones)
    dataset = load(open_source(data), max_pixels=options.max_pixels, threads=threads, progress=progress)
    asked = json.loads(json.dumps(asdict(options))) | {"backbones": [_asked(spec) for spec in specs]}
    identity = fingerprint({"data": dataset.fingerprint, "options": asked})
    folder = out or default_folder(dataset.name, identity)
    journal = enter_folder(folder, identity)
    if journal.events(FINISHED):
        forget_steps(folder)
        return load_run(folder)
    journal.start(identity, command=command)
    near_pairs: tuple[NearPair, ...] = ()
    if options.near_duplicates:
        near_pairs = find_near_duplicates(
            dataset, cache=cache_folder(), max_pixels=options.max_pixels, threads=threads, progress=progress
        )
        dataset = keep_together(dataset, near_pairs)
    dataset, split, sealed = make_split(dataset, options.split)
    entries, extraction, shared = _extract_all(
        specs,
        dataset,
        split,
        options,
        data=data,
        cluster=cluster,
        offline=offline,
        threads=threads,
        batch=batch,
        progress=progress,
    )
    require_enough(dataset, sealed=sealed, without=extraction.unreadable_ids)
    split = split.without(extraction.unreadable_ids)
    searches = [
        tune(
            features,
            split,
            dataset,
            entry.search_options(options.search),
            progress,
            kept_in=steps_folder(folder, features.backbone),
        )
        for entry, features in zip(entries, extraction.features, strict=True)
    ]
    taken = [features.pooled(one.pooling) for features, one in zip(extraction.features, searches, strict=True)]
    calibrated = [
        predict_calibration(search, features, split, dataset) for search, features in zip(searches, taken, strict=True)
    ]
    refusals = [
        refusal_of(search, features, dataset, rows)
        for search, features, rows in zip(searches, taken, calibrated, strict=True)
    ]
    parities = [
        measure_parity(
            dataset,
            entry.backbone,
            features,
            search.head,
            split.test,
            cache=cache_folder(),
            threads=shared,
            max_pixels=options.max_pixels,
            progress=progress,
            batch=batch,
        )
        for entry, features, search in zip(entries, taken, searches, strict=True)
    ]
    choices = fingerprint([split.fingerprint, *(one.digest for one in searches), *(one.digest for one in refusals)])
    candidates = [
        _candidate(*parts, dataset, split)
        for parts in zip(entries, extraction.features, searches, refusals, strict=True)
    ]
    openings = journal.record_opening(choices)
    verdict = judge(
        candidates,
        split.test,
        sealed,
        choices,
        dataset.classes,
        dataset.warnings,
        groups=_groups(dataset),
        level=options.level,
        margin=options.margin,
        seed=options.seed,
    )
    results = summarise(
        command=command,
        options=asked,
        dataset=dataset,
        split=split,
        entries=entries,
        near_pairs=near_pairs,
        extraction=extraction,
        searches=searches,
        verdict=verdict,
        parities=parities,
        threads=shared,
        openings=openings,
        clock=clock,
    )
    run = write_run(folder, results, dataset, split, searches, refusals, calibrated, verdict.predictions)
    write_report(
        run.results,
        {tested.name: tested for tested in verdict.predictions},
        images=Images.of(dataset, max_pixels=options.max_pixels),
        path=run.report,
    )
    write_receipt(folder, results)
    journal.write(FINISHED)
    forget_steps(folder)
    return run


def _extract_all(
    specs: Sequence[BackboneSpec],
    dataset: Dataset,
    split: Split,
    options: BenchOptions,
    *,
    data: str | Path | None,
    cluster: str | None,
    offline: bool,
    threads: int | None,
    batch: int | None,
    progress: Progress,
) -> tuple[list[Entry], Extraction, Threads]:
    """Every backbone with its rows, computed here or on a cluster, and the threads that one process had for it."""
    cache, shared = cache_folder(), share_threads(threads or usable_cores())
    opened = partial(open_all, specs, dataset, split, options, offline=offline, progress=progress)
    extracted = partial(
        extract, cache=cache, threads=shared, max_pixels=options.max_pixels, progress=progress, batch=batch
    )
    if cluster is None:
        entries = opened()
        return entries, extracted(dataset, [entry.backbone for entry in entries]), shared
    with join(
        cluster,
        dataset,
        split.train,
        data=data,
        cache=cache,
        engine=options.engine,
        precision=options.precision,
        max_pixels=options.max_pixels,
        offline=offline,
        threads=threads,
        batch=batch,
        progress=progress,
    ) as machines:
        entries = opened(engine=machines.engine)
        extraction = extracted(dataset, [entry.backbone for entry in entries], elsewhere=machines.fill)
        readable = split.without(extraction.unreadable_ids).test
        if readable and machines.engine.precision != "fp32":  # for measure_parity: this machine may lack the engine
            compared = compared_images(dataset, readable, machines.engine.precision)
            extracted(compared, [in_float32(entry.backbone) for entry in entries], elsewhere=machines.fill)
        return entries, extraction, machines.threads


def _asked(spec: BackboneSpec) -> str:
    return spec.name if spec.file is None else f"{spec.name}={spec.given_digest()}"


def _groups(dataset: Dataset) -> dict[str, str]:
    columns = (dataset.table["id"].to_pylist(), dataset.table["group"].to_pylist())
    return {example: group for example, group in zip(*columns, strict=True) if group is not None}


def _candidate(
    entry: Entry, features: Features, search: Search, refusal: Refusal, dataset: Dataset, split: Split
) -> Contestant:
    backbone, rows = entry.backbone, features.pooled(search.pooling).rows(split.test)
    return Contestant(
        name=backbone.name,
        gmacs=backbone.card.gmacs,
        licence=backbone.card.licence,
        probability_NC=probabilities(search.head, rows),
        traces=find_traces(backbone.card, read_classifier(backbone), features, dataset, split),
        refusal=refusal,
        strange_N=refusal.strange(rows),
    )
