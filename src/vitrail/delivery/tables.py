"""A finished run as Arrow tables: its backbones, its pairs, and what each backbone answered on the test images."""

from typing import Any

import pyarrow as pa

from vitrail.runs import BackboneResult, Results, RunRecord
from vitrail.runs.tables import PROBABILITY_PREFIX
from vitrail.statistics.intervals import Interval

TEXT, NUMBER, COUNT, YES_OR_NO = pa.string(), pa.float64(), pa.int64(), pa.bool_()
RATES = ("top1", "top5", "balanced_accuracy", "macro_f1", "nll", "ece", "brier")
BACKBONES = pa.schema(
    [
        ("backbone", TEXT),
        ("recipe", TEXT),
        ("picked", YES_OR_NO),
        *((f"{rate}{end}", NUMBER) for rate in RATES for end in ("", "_low", "_high")),
        ("gmacs", NUMBER),
        ("images_per_s", NUMBER),
        ("parameters", COUNT),
        ("licence", TEXT),
        ("contamination", TEXT),
        ("head", TEXT),
        ("pooling", TEXT),
        ("temperature", NUMBER),
        ("engine", TEXT),
        ("precision", TEXT),
        ("weights_sha256", TEXT),
    ]
)
PAIRS = pa.schema(
    [
        ("a", TEXT),
        ("b", TEXT),
        ("difference", NUMBER),
        ("difference_low", NUMBER),
        ("difference_high", NUMBER),
        ("only_a", COUNT),
        ("only_b", COUNT),
        ("discordance", NUMBER),
        ("mcnemar_p", NUMBER),
        ("adjusted_p", NUMBER),
        ("equivalence_p", NUMBER),
        ("loss_a", NUMBER),
        ("loss_b", NUMBER),
        ("conclusion", TEXT),
        ("design_effect", NUMBER),
        ("visible", NUMBER),
    ]
)


def backbones_table(results: Results) -> pa.Table:
    """A row for each backbone; `vitrail.Run.table` says what the columns mean.

    The metadata has `level`, that of the intervals.
    """
    rows = [_backbone_row(result, picked=result.name == results.decision.choose) for result in results.backbones]
    return pa.Table.from_pylist(rows, BACKBONES.with_metadata(_level(results)))


def pairs_table(results: Results) -> pa.Table:
    """A row for each pair of backbones; `vitrail.Run.pairs` says what the columns mean. `level` is in the metadata."""
    rows = []
    for pair in results.pairs:
        facts = {name: getattr(pair, name) for name in PAIRS.names if not name.startswith("difference")}
        rows.append(facts | _limits("difference", pair.difference))
    return pa.Table.from_pylist(rows, PAIRS.with_metadata(_level(results)))


def predictions_table(record: RunRecord, name: str) -> pa.Table:
    """A row for each test image; `vitrail.Run.predictions` says what the columns mean."""
    tested, classes = record.predictions(name), record.results.data.classes
    paths = record.paths()
    predicted_N = tested.probability_NC.argmax(axis=1)
    columns = {
        "id": pa.array(tested.ids, pa.string()),
        "path": pa.array([paths[example] for example in tested.ids], pa.string()),
        "label": pa.array([classes[c] for c in tested.label_N.tolist()], pa.string()),
        "predicted": pa.array([classes[c] for c in predicted_N.tolist()], pa.string()),
        "correct": pa.array(predicted_N == tested.label_N),
        "probability": pa.array(tested.probability_NC.max(axis=1)),
    }
    for c, class_name in enumerate(classes):
        columns[PROBABILITY_PREFIX + class_name] = pa.array(tested.probability_NC[:, c])
    return pa.table(columns)


def _backbone_row(result: BackboneResult, *, picked: bool) -> dict[str, Any]:
    card, search = result.card, result.search
    row: dict[str, Any] = {"backbone": result.name, "recipe": result.recipe, "picked": picked}
    for rate in RATES:
        row |= _limits(rate, getattr(result.test, rate))
    return row | {
        "gmacs": card.gmacs,
        "images_per_s": result.cost.images_per_s,
        "parameters": card.parameters,
        "licence": card.licence,
        "contamination": result.contamination.verdict,
        "head": search.winner.kind,
        "pooling": search.pooling,
        "temperature": search.temperature,
        "engine": result.engine,
        "precision": result.precision,
        "weights_sha256": result.weights_sha256,
    }


def _limits(name: str, interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _level(results: Results) -> dict[str, str]:
    return {"level": f"{results.options.level:g}"}
