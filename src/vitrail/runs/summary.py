"""From what the rooms made to the one document that says it all."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from vitrail.candidates.parity import Parity
from vitrail.candidates.recipes import Entry
from vitrail.core.machine import Threads, describe_machine, peak_rss_bytes, user_seconds
from vitrail.data import PARTS, Dataset, NearPair, Split, leaking_into
from vitrail.evaluation import BackboneVerdict, Verdict
from vitrail.evaluation.near_copies import accuracy_without
from vitrail.features import Extraction, Features
from vitrail.heads.predictions import Predictions
from vitrail.runs.results import (
    SCHEMA_VERSION,
    BackboneCost,
    BackboneResult,
    DataSummary,
    Results,
    RunCost,
    SearchSummary,
    SplitSummary,
)
from vitrail.search import Search, spread_of


@dataclass(frozen=True, slots=True)
class Clock:
    """When a run began, in clock and in CPU."""

    wall: float = field(default_factory=time.monotonic)
    user: float = field(default_factory=user_seconds)


def summarise(
    *,
    command: str,
    options: dict[str, Any],
    dataset: Dataset,
    split: Split,
    near_pairs: Sequence[NearPair],
    entries: Sequence[Entry],
    extraction: Extraction,
    searches: Sequence[Search],
    verdict: Verdict,
    parities: Sequence[Parity | None],
    threads: Threads,
    openings: int,
    clock: Clock,
) -> Results:
    """The results of a run.

    Args:
        command: how it was asked for.
        options: after defaults.
        dataset: the examples, test labels sealed.
        split: which of them were used for what.
        near_pairs: the near-duplicates among the examples.
        entries: every backbone under every recipe, in the order they were asked for.
        extraction: their features, and what could not be read.
        searches: what was tuned on each.
        verdict: what the test split said.
        parities: what a reduced precision changed in each backbone.
        threads: that the pass over the images was given.
        openings: how often it was opened with different choices.
        clock: when the run began.

    Returns:
        The document that results.json holds.
    """
    leaked = leaking_into(near_pairs, split.test)
    without = [
        accuracy_without(tested, leaked, level=one.test.top1.level)
        for tested, one in zip(verdict.predictions, verdict.backbones, strict=True)
    ]
    per_backbone = zip(entries, extraction.features, searches, verdict.backbones, parities, strict=True)
    summaries = [_summarise_backbone(*parts, threads) for parts in per_backbone]
    return Results(
        schema_version=SCHEMA_VERSION,
        vitrail_version=version("vitrail"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        options=options,
        data=DataSummary(
            name=dataset.name,
            fingerprint=dataset.fingerprint,
            classes=dataset.classes,
            counts=_counts(dataset, split, verdict.predictions[0]),
            set_aside=(*dataset.set_aside, *extraction.set_aside),
            duplicates=dict(dataset.duplicates),
            warnings=dataset.warnings,
            near_pairs=tuple(near_pairs),
            leaked=leaked,
        ),
        split=SplitSummary(
            how=split.how,
            seed=split.seed,
            fractions=split.fractions,
            fingerprint=split.fingerprint,
            test_openings=openings,
        ),
        backbones=tuple(replace(one, top1_without_leaked=rate) for one, rate in zip(summaries, without, strict=True)),
        pairs=verdict.pairs,
        winner=verdict.winner,
        decision=verdict.decision,
        cost=RunCost(
            wall_s=time.monotonic() - clock.wall,
            user_s=user_seconds() - clock.user,
            gpu_s=None,
            decode_s=extraction.decode_s,
            peak_rss_bytes=peak_rss_bytes(),
        ),
        machine=describe_machine(),
    )


def _counts(dataset: Dataset, split: Split, test: Predictions) -> dict[str, dict[str, int]]:
    label = dict(zip(dataset.table["id"].to_pylist(), dataset.table["label"].to_pylist(), strict=True))
    labels_of: dict[str, list[int]] = {
        part: test.label_N.tolist() if part == "test" else [label[id_] for id_ in getattr(split, part)]
        for part in PARTS
        if part != "calibration" or split.calibration
    }
    return {
        name: dict(
            zip(
                dataset.classes,
                np.bincount(np.array(labels, dtype=np.int64), minlength=len(dataset.classes)).tolist(),
                strict=True,
            )
        )
        for name, labels in labels_of.items()
    }


def _summarise_backbone(
    entry: Entry,
    features: Features,
    search: Search,
    verdict: BackboneVerdict,
    parity: Parity | None,
    threads: Threads,
) -> BackboneResult:
    backbone, cost = entry.backbone, features.cost
    return BackboneResult(
        name=backbone.name,
        card=backbone.card,
        weights_sha256=backbone.digest,
        engine=backbone.engine.name,
        precision=backbone.engine.precision,
        device=backbone.engine.device,
        threads=threads,
        calibration=backbone.engine.calibration,
        parity=parity,
        feature_key=features.key,
        cost=BackboneCost(
            images=cost.images,
            forward_s=cost.forward_s,
            decode_s=cost.decode_s,
            user_s=cost.user_s,
            images_per_s=cost.images / cost.forward_s if cost.forward_s else 0.0,
            gmacs=backbone.card.gmacs,
            cached=1 - cost.computed / cost.images if cost.images else 0.0,
        ),
        search=SearchSummary(
            trials=len(search.trials),
            pooling=search.pooling,
            ended_early=search.ended_early,
            seconds=search.seconds,
            user_s=search.user_s,
            winner=search.winner,
            temperature=search.head.temperature,
            seeds=search.seeds,
            splits=spread_of(search.resplits, len(search.oof_ids)),
            few_shot=search.few_shot,
            label_curves=search.label_curves,
            curve=search.curve,
        ),
        test=verdict.test,
        per_class=verdict.per_class,
        contamination=verdict.contamination,
        refusal=verdict.refusal,
        reliability=verdict.reliability,
        recipe=entry.recipe,
        departures=entry.departures,
    )
