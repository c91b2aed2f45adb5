"""Everything that a run made, brought together in the one document results.json."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np

from vitrail.candidates import BackboneChoice, BenchOptions, Candidate, Prepared
from vitrail.candidates.held_race import HeldRace
from vitrail.core.clock import Clock
from vitrail.core.hashing import fingerprint
from vitrail.core.machine import Threads, describe_machine, peak_rss_bytes
from vitrail.data import SPLIT_NAMES, Dataset, NearPair, Split, leaking_into
from vitrail.evaluation import BackboneVerdict, Criteria, Verdict
from vitrail.evaluation.caveats import accuracy_without
from vitrail.heads.head import Predictions
from vitrail.runs.openings import Openings
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
from vitrail.search import spread_of
from vitrail.statistics.intervals import Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a run answers: the command, the options after defaults, and the backbones or how they were chosen."""

    command: str
    options: BenchOptions
    choice: BackboneChoice

    def identity(self, dataset: Dataset) -> str:
        """The fingerprint of data and question; the command may be written in other words."""
        asked = {"options": asdict(self.options), "backbones": self.choice.identity}
        return fingerprint({"data": dataset.fingerprint} | asked)


def make_criteria(options: BenchOptions, race: HeldRace | None = None) -> Criteria:
    """What the verdict is made by, as far as the options and the race of the candidates say it."""
    return Criteria(
        level=options.level,
        margin=options.margin,
        decide_by=options.decide_by,
        seed=options.seed,
        balanced=options.search.balanced,
        left=len(race.out) if race else 0,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """Candidates, the verdict on them, and how often these test images were opened with different choices."""

    candidates: tuple[Candidate, ...]
    verdict: Verdict
    openings: Openings


def summarise(
    question: Question,
    dataset: Dataset,
    split: Split,
    near_pairs: Sequence[NearPair],
    prepared: Prepared,
    opened: Opened,
    cost: RunCost,
) -> Results:
    """The document that results.json holds; `split` is that of the examples that could be read."""
    verdict, extraction = opened.verdict, prepared.extraction
    leaked = leaking_into(near_pairs, split.test)
    without_leaked = [
        accuracy_without(tested, leaked, level=judged.test.top1.level)
        for tested, judged in zip(verdict.predictions, verdict.backbones, strict=True)
    ]
    results = tuple(
        _summarise_backbone(candidate, judged, top1, prepared.threads)
        for candidate, judged, top1 in zip(opened.candidates, verdict.backbones, without_leaked, strict=True)
    )
    return Results(
        schema_version=SCHEMA_VERSION,
        vitrail_version=version("vitrail"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=question.command,
        options=question.options,
        requested=question.choice.requested,
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
            slices=dataset.slices,
        ),
        split=SplitSummary(
            how=split.how,
            seed=split.seed,
            fractions=split.fractions,
            fingerprint=split.fingerprint,
            test_openings=opened.openings.count,
            first_opened=opened.openings.first,
        ),
        backbones=results,
        pairs=verdict.pairs,
        retrained=verdict.retrained,
        winner=verdict.winner,
        shares=verdict.shares,
        decision=verdict.decision,
        cost=cost,
        machine=describe_machine(),
        automatic=question.choice.automatic,
        race=prepared.race,
    )


def measure_cost(clock: Clock, *, decode_s: float, starts: int) -> RunCost:
    """What the command has cost so far."""
    wall_s, parts = clock.wall_s, clock.parts()
    return RunCost(
        wall_s=wall_s,
        parts=parts,
        other_s=wall_s - sum(parts.values()),
        user_s=clock.user_s,
        decode_s=decode_s,
        peak_rss_bytes=peak_rss_bytes(),
        starts=starts,
    )


def _counts(dataset: Dataset, split: Split, test: Predictions) -> dict[str, dict[str, int]]:
    label = dataset.by_id("label")
    labels_of: dict[str, list[int]] = {
        name: test.label_N.tolist() if name == "test" else [label[id_] for id_ in getattr(split, name)]
        for name in SPLIT_NAMES
        if name != "calibration" or split.calibration
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
    candidate: Candidate, verdict: BackboneVerdict, without_leaked: Interval | None, threads: Threads
) -> BackboneResult:
    assert verdict.contamination is not None  # a candidate has traces and thresholds
    assert verdict.refusal is not None
    entry, search = candidate.entry, candidate.search
    backbone, cost = entry.backbone, candidate.features.cost
    compared = 0 if entry.both_ways is None else entry.both_ways.computed(backbone.card.preprocessing.decode)
    return BackboneResult(
        name=backbone.name,
        card=backbone.card,
        weights_sha256=backbone.digest,
        engine=backbone.engine.name,
        precision=backbone.engine.precision,
        device=backbone.engine.device,
        threads=threads,
        trial=backbone.trial,
        ranges=backbone.engine.ranges,
        parity=candidate.parity,
        decoding=candidate.decoding,
        top1_without_leaked=without_leaked,
        feature_key=candidate.features.key,
        cost=BackboneCost(
            images=cost.images,
            forward_s=cost.forward_s,
            decode_s=cost.decode_s,
            user_s=cost.user_s,
            images_per_s=cost.images / cost.forward_s if cost.forward_s else 0.0,
            gmacs=backbone.card.gmacs,
            cached=1 - (cost.computed + compared) / cost.images if cost.images else 0.0,
        ),
        search=SearchSummary(
            trials=len(search.trials),
            pooling=search.pooling,
            ended_early=search.ended_early,
            streamed=search.streamed,
            notes=search.notes,
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
        retraining=verdict.retraining,
        conditions=verdict.conditions,
        recipe=entry.recipe,
        departures=entry.departures,
    )
