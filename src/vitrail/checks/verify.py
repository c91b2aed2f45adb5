"""Whether a run says what its own files say: digests against the receipt, every figure of the verdict computed again.

From the predictions come all figures on the test images, the pairs, the winner and the decision; from data.parquet the
counts and the data's fingerprint; from heads and stored features, where the cache has them, the predictions themselves.
What cannot be computed again is named.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from vitrail.backbones.poolings import take
from vitrail.checks.differences import Difference, Work
from vitrail.checks.thresholds import check_calibration
from vitrail.core.errors import VitrailError
from vitrail.core.hashing import fingerprint, sha256_file
from vitrail.evaluation import Contestant, Criteria, JudgedImages, Verdict, assess
from vitrail.features.store import FACTS, FeatureSet
from vitrail.heads import load_head, probabilities
from vitrail.heads.predictions import Predictions
from vitrail.heads.refusal import Refusal, load_refusal
from vitrail.runs.folder import DATA, RECEIPT
from vitrail.runs.results import BackboneResult, Results
from vitrail.runs.run import RunRecord, load_run
from vitrail.runs.tables import Examples, read_examples
from vitrail.search import spread_of

HEAD_ROUNDING = 1e-6  # of a probability: a head file keeps float32, its fit may have been finer
ALWAYS_BEYOND = (
    "the search: its trials, out-of-fold figures and temperatures",
    "the split, from the images that it was made of",
    "costs and times",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """How many values were compared, what differs, and what could not be computed again."""

    compared: int
    differences: tuple[Difference, ...]
    not_recomputed: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def verify_run(folder: Path, *, cache: Path) -> Verification:
    """Check a finished run against its own files.

    Args:
        folder: the run folder; RunError where it holds no finished run, or one whose tables cannot be read.
        cache: the cache folder, for stored features.

    Returns:
        What differs; nothing, where the run is as it was made.
    """
    run = load_run(folder)
    work = Work()
    _check_receipt(run, work)
    examples = read_examples(folder / DATA)
    predictions = [run.predictions(one.name) for one in run.results.backbones]
    _check_rows(predictions, examples, work)
    _check_data(run.results, examples, predictions[0], work)
    for one in run.results.backbones:
        _check_resplits(run, one, examples, work)
    candidates = [
        _candidate(run, one, rows, examples, cache, work)
        for one, rows in zip(run.results.backbones, predictions, strict=True)
    ]
    try:
        verdict = _judge_again(run.results, candidates, examples, predictions[0])
    except VitrailError as error:
        work.differ("predictions", "probabilities of the test images", str(error))
    else:
        _check_verdict(run.results, verdict, work)
    return Verification(
        compared=work.compared,
        differences=tuple(work.differences),
        not_recomputed=(*dict.fromkeys(work.beyond), *ALWAYS_BEYOND),
    )


def _check_receipt(run: RunRecord, work: Work) -> None:
    try:
        receipt = json.loads((run.folder / RECEIPT).read_text(encoding="utf-8"))
        listed, weights = dict(receipt["files"]), dict(receipt["weights"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        work.differ(RECEIPT, "a receipt", f"cannot be read ({error})")
        return
    for name, digest in listed.items():
        path = run.folder / name
        work.compare(f"{RECEIPT}: {name}", digest, sha256_file(path) if path.is_file() else "missing")
    work.compare(f"{RECEIPT}: data", receipt.get("data"), run.results.data.fingerprint)
    work.compare(f"{RECEIPT}: split", receipt.get("split"), run.results.split.fingerprint)
    work.compare(f"{RECEIPT}: weights", weights, {one.name: one.weights_sha256 for one in run.results.backbones})


def _check_rows(predictions: list[Predictions], examples: Examples, work: Work) -> None:
    """All backbones are judged on the same images with the same labels: those of the test split."""
    first = predictions[0]
    test = {example for example, part in zip(examples.ids, examples.parts, strict=True) if part == "test"}
    for rows in predictions:
        where = f"predictions of {rows.name}"
        work.compared += 2
        if set(rows.ids) != test:
            work.differ(f"{where}: images", f"{len(test)} of the test split", f"{len(set(rows.ids) & test)} of them")
        if rows.ids != first.ids:
            work.differ(f"{where}: order of images", f"as of {first.name}", "another")
        elif (changed_N := rows.label_N != first.label_N).any():
            row = int(np.flatnonzero(changed_N)[0])
            work.differ(f"{where}: labels, first of {rows.ids[row]}", first.label_N[row], rows.label_N[row])


def _check_data(results: Results, examples: Examples, test: Predictions, work: Work) -> None:
    label = dict(zip(test.ids, test.label_N.tolist(), strict=True))
    labels = [label.get(e, one) for e, one in zip(examples.ids, examples.labels, strict=True)]
    work.compare("data.classes", list(results.data.classes), list(examples.classes))
    for part, counts in results.data.counts.items():
        inside = [one for one, where in zip(labels, examples.parts, strict=True) if where == part]
        found = {name: inside.count(place) for place, name in enumerate(examples.classes)}
        work.compare(f"data.counts.{part}", counts, found)
    if None in labels:
        work.beyond.append("the data's fingerprint: labels of unreadable test images are not kept")
        return
    whole = {
        "classes": list(examples.classes),
        "id": examples.ids,
        "label": labels,
        "group": examples.groups,
        "given_split": examples.given,
    }
    work.compare("data.fingerprint", results.data.fingerprint, fingerprint(whole))


def _check_resplits(run: RunRecord, one: BackboneResult, examples: Examples, work: Work) -> None:
    """The spread over other splits, from what was answered on each; labels are those of data.parquet."""
    if one.search.splits is None:
        return
    where = f"backbones[{one.name}].search.splits"
    try:
        resplits = run.resplits(one.name)
    except VitrailError as error:
        work.differ(where, "answers on each split", str(error))
        return
    label = {
        example: label
        for example, label, part in zip(examples.ids, examples.labels, examples.parts, strict=True)
        if part in ("train", "val")
    }
    for each in resplits:
        known = [label.get(example) for example in each.ids]
        work.compare(f"splits of {one.name}: labels of number {each.number}", each.label_M.tolist(), known)
    work.compare(where, _json(one.search.splits), _json(spread_of(resplits, len(label))))


def _candidate(
    run: RunRecord, one: BackboneResult, rows: Predictions, examples: Examples, cache: Path, work: Work
) -> Contestant:
    """One backbone as it went into the verdict, its predictions checked where its features are at hand."""
    stored = _stored_features(cache, one, rows)
    if stored is None:
        work.beyond.append(f"predictions of {one.name} from its features, which the cache has not")
    else:
        _check_head(run, one, rows, stored, work, where=f"predictions of {one.name}")
    refusal, strange_N = _read_thresholds(run, one, rows, stored, work), None
    if refusal is not None:
        _check_thresholds(run, one, refusal, examples, cache, work)
        strange_N = np.zeros(len(rows.ids), bool) if stored is None else refusal.strange(stored)
    if one.contamination is not None:
        work.beyond.append(f"what {one.name} saw in pretraining, for which its weights are needed; taken as stored")
    return Contestant(
        name=one.name,
        gmacs=one.card.gmacs,
        licence=one.card.licence,
        probability_NC=rows.probability_NC,
        refusal=refusal,
        strange_N=strange_N,
    )


def _read_thresholds(
    run: RunRecord, one: BackboneResult, rows: Predictions, stored: NDArray[np.float32] | None, work: Work
) -> Refusal | None:
    """The thresholds of a head, where the run has some that fit it."""
    path = run.refusal_file(one.name)
    if not path.exists():
        return None
    try:
        return load_refusal(
            path, features=None if stored is None else stored.shape[1], classes=rows.probability_NC.shape[1]
        )
    except VitrailError as error:
        work.differ(path.name, "thresholds", str(error))
        return None


def _stored_features(cache: Path, one: BackboneResult, rows: Predictions) -> NDArray[np.float32] | None:
    """The rows of these images as the head takes them, or None where the cache lacks one."""
    facts_file = cache / "features" / one.feature_key / FACTS
    if not facts_file.is_file():
        return None
    facts = json.loads(facts_file.read_text(encoding="utf-8"))
    storage = facts.pop("storage")
    facts.pop("shard_version")
    stored = FeatureSet(cache, facts, storage)
    stored.set_damaged_aside(rows.ids)
    if stored.key != one.feature_key or not stored.has(rows.ids).all():
        return None
    held = str(facts.get("poolings", one.card.pooling))
    return np.asarray(take(stored.rows(rows.ids), held=held, wanted=one.search.pooling or one.card.pooling))


def _check_thresholds(
    run: RunRecord, one: BackboneResult, refusal: Refusal, examples: Examples, cache: Path, work: Work
) -> None:
    """Set them again from what the head said of the calibration part, and that again from stored features."""
    if refusal.set_on != "calibration":
        work.beyond.append("thresholds that were set on out-of-fold probabilities")
        return
    try:
        rows = run.calibration(one.name)
    except VitrailError as error:
        work.differ(f"calibration of {one.name}", "predictions", str(error))
        return
    check_calibration(one.name, refusal, rows, examples, work)
    stored = _stored_features(cache, one, rows)
    if stored is not None:
        _check_head(run, one, rows, stored, work, where=f"calibration of {one.name}")


def _check_head(
    run: RunRecord, one: BackboneResult, rows: Predictions, feature_ND: NDArray[np.float32], work: Work, *, where: str
) -> None:
    where += " against its head and features"
    try:
        head, recipe = load_head(run.head_file(one.name))
        again_NC = probabilities(head, feature_ND)
    except VitrailError as error:
        work.differ(where, "a head that fits", str(error))
        return
    work.compare(f"head of {one.name}: temperature", one.search.temperature, head.temperature)
    work.compare(f"head of {one.name}: feature key", one.feature_key, recipe.get("feature_key"))
    if rows.probability_NC.shape != again_NC.shape:
        work.differ(where, f"{rows.probability_NC.shape[1]} classes", f"{again_NC.shape[1]} classes")
        return
    work.compared += again_NC.size
    near_NC = np.isclose(rows.probability_NC, again_NC, rtol=0, atol=HEAD_ROUNDING)
    off_N = np.flatnonzero(~np.all(near_NC, axis=1))
    if len(off_N):
        row = int(off_N[0])
        column = int(np.abs(rows.probability_NC[row] - again_NC[row]).argmax())
        where += f": {len(off_N)} of {len(rows.ids)} images, first {rows.ids[row][:12]}…, {head.classes[column]}"
        work.differ(where, rows.probability_NC[row, column], again_NC[row, column])


def _judge_again(results: Results, candidates: list[Contestant], examples: Examples, test: Predictions) -> Verdict:
    options = results.options
    groups = {e: group for e, group in zip(examples.ids, examples.groups, strict=True) if group is not None}
    return assess(
        candidates,
        JudgedImages(ids=test.ids, classes=results.data.classes, groups=groups, warnings=results.data.warnings),
        test.label_N,
        Criteria(level=options.level, margin=options.margin, seed=options.seed),
        choices_digest="",
        found={one.name: one.contamination for one in results.backbones if one.contamination},
    )


def _check_verdict(results: Results, verdict: Verdict, work: Work) -> None:
    for stored, found in zip(results.backbones, verdict.backbones, strict=True):
        for part in ("test", "per_class", "reliability", "refusal"):
            one, other = getattr(stored, part), getattr(found, part)
            one, other = _json(one), _json(other)
            if part == "refusal" and one is not None and other is not None and _unseen(work, stored.name):
                one.pop("flagged")
                other.pop("flagged")
            work.compare(f"backbones[{stored.name}].{part}", one, other)
    work.compare("pairs", _json(results.pairs), _json(verdict.pairs))
    work.compare("winner", _json(results.winner), _json(verdict.winner))
    work.compare("decision", _json(results.decision), _json(verdict.decision))


def _unseen(work: Work, name: str) -> bool:
    return any(one.startswith(f"predictions of {name} from its features") for one in work.beyond)


def _json(value: Any) -> Any:
    return TypeAdapter(type(value) if not isinstance(value, tuple) else tuple[Any, ...]).dump_python(value, mode="json")
