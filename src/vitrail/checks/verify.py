"""Whether a run says what its own files say: digests against the receipt, every figure of the verdict computed again.

From the predictions come all figures on the test images, the pairs, the winner and the decision; from those of heads on
parts of train and val the label curves and what training on other images would change; from those of heads which never
saw a value of a column the accuracy on new values; from data.parquet the slices, the counts and the data's fingerprint;
from heads and stored features, where the cache has them, the predictions and the comparison of test and training.
What cannot be computed again is named. A file that is not the one in the receipt is named and not read.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from vitrail.backbones.poolings import take_pooling
from vitrail.checks.conditions import compare_features_again, describe_images, read_new_answers
from vitrail.checks.differences import Comparison, Difference
from vitrail.checks.race import check_race
from vitrail.checks.subsets import check_subsets
from vitrail.checks.thresholds import check_bank, check_calibration
from vitrail.core.errors import RunError, VitrailError
from vitrail.core.hashing import fingerprint
from vitrail.data.dataset import COLUMN_PREFIX
from vitrail.evaluation import Contestant, JudgedImages, Verdict, assess
from vitrail.features.store import FEATURES, FeatureSet, read_facts
from vitrail.heads import load_head, probabilities
from vitrail.heads.head import Predictions
from vitrail.heads.refusal import Refusal, load_refusal
from vitrail.runs.folder import DATA, LOG, RECEIPT, RESULTS, prediction_file
from vitrail.runs.journal import Journal
from vitrail.runs.receipt import compare_with_receipt, find_foreign_files, read_receipt
from vitrail.runs.results import BackboneResult, Results, read_results
from vitrail.runs.run import RunRecord
from vitrail.runs.summary import make_criteria
from vitrail.runs.tables import ExampleTable
from vitrail.search import spread_of

HEAD_ROUNDING = 1e-6  # of a probability: a head file keeps float32, its fit may have been finer
NEVER_RECOMPUTED = (
    "the race: who was right on its images; costs and times of candidates that left",
    "the search: its trials, out-of-fold figures and temperatures",
    "the split, from the images that it was made of",
    "costs and times",
    "how often these test images were opened before, in other folders; used as stored",
    "what a reduced precision or a reduced decode changes",
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
    """Check a finished run against its own files, and against the stored features in the cache folder.

    Raises:
        RunError: the folder holds no finished run, or one whose tables cannot be read.
    """
    results, comparison = read_results(folder / RESULTS), Comparison()
    run = _open_run(folder, results, comparison)
    if run is None:
        return _end(comparison, "any figure: this needs the receipt, the images and all predictions as they were")
    examples = run.examples()
    predictions = [run.predictions(result.name) for result in results.backbones]
    _check_rows(predictions, examples, comparison)
    _check_data(run.results, examples, predictions[0], comparison)
    _check_openings(run, comparison)
    check_race(run.results, comparison)
    for result in run.results.backbones:
        _check_resplits(run, result, examples, comparison)
    try:
        images = describe_images(run.results, examples, predictions[0])
        contestants = [
            _make_contestant(run, result, rows, examples, images, cache, comparison)
            for result, rows in zip(run.results.backbones, predictions, strict=True)
        ]
        verdict = _judge_again(run.results, contestants, images, predictions[0])
    except VitrailError as error:
        comparison.differ("predictions", "probabilities of the test images", str(error))
    else:
        _check_verdict(run.results, verdict, comparison)
    return _end(comparison, *NEVER_RECOMPUTED)


def _end(comparison: Comparison, *not_recomputed: str) -> Verification:
    return Verification(
        compared=comparison.compared,
        differences=tuple(comparison.differences),
        not_recomputed=(*dict.fromkeys(comparison.not_recomputed), *not_recomputed),
    )


def _open_run(folder: Path, results: Results, comparison: Comparison) -> RunRecord | None:
    """The run, which reads no file that differs from its receipt; None if every figure needs one that does."""
    try:
        receipt = read_receipt(folder)
    except RunError as error:
        comparison.differ(RECEIPT, "a receipt", str(error))
        return None
    changed = set()
    for what, expected, actual in compare_with_receipt(folder, results, receipt):
        comparison.compare(f"{RECEIPT}: {what}", expected, actual)
        if expected != actual:
            changed.add(what)
    for name in find_foreign_files(folder, results):
        comparison.differ(f"{RECEIPT}: {name}", "not listed", "a file that does not belong to the run")
    predictions = {prediction_file(Path(), result.name).as_posix() for result in results.backbones}
    if changed & {DATA, *predictions}:
        return None
    return RunRecord(folder=folder, results=results, digests=receipt.files)


def _check_rows(predictions: list[Predictions], examples: ExampleTable, comparison: Comparison) -> None:
    """All backbones are judged on the same images with the same labels: those of the test split."""
    first = predictions[0]
    test = {example for example, split in zip(examples.ids, examples.splits, strict=True) if split == "test"}
    for rows in predictions:
        where = f"predictions of {rows.name}"
        comparison.compared += 2
        if set(rows.ids) != test:
            comparison.differ(
                f"{where}: images", f"{len(test)} of the test split", f"{len(set(rows.ids) & test)} of them"
            )
        if rows.ids != first.ids:
            comparison.differ(f"{where}: order of images", f"as of {first.name}", "another")
        elif (changed_N := rows.label_N != first.label_N).any():
            row = int(np.flatnonzero(changed_N)[0])
            comparison.differ(f"{where}: labels, first of {rows.ids[row]}", first.label_N[row], rows.label_N[row])


def _check_data(results: Results, examples: ExampleTable, test: Predictions, comparison: Comparison) -> None:
    label = dict(zip(test.ids, test.label_N.tolist(), strict=True))
    labels = [label.get(example, kept) for example, kept in zip(examples.ids, examples.labels, strict=True)]
    comparison.compare("data.classes", list(results.data.classes), list(examples.classes))
    for name, counts in results.data.counts.items():
        inside = Counter(label for label, split in zip(labels, examples.splits, strict=True) if split == name)
        again = {class_: inside[place] for place, class_ in enumerate(examples.classes)}
        comparison.compare(f"data.counts.{name}", counts, again)
    if None in labels:
        comparison.not_recomputed.append("the data's fingerprint: labels of unreadable test images are not kept")
        return
    whole = {
        "classes": list(examples.classes),
        "id": examples.ids,
        "label": labels,
        "group": examples.groups,
        "given_split": examples.given,
    } | {COLUMN_PREFIX + name: values for name, values in examples.further.items()}
    comparison.compare("data.fingerprint", results.data.fingerprint, fingerprint(whole))


def _check_openings(run: RunRecord, comparison: Comparison) -> None:
    """The results may know of openings in other folders, which the log does not, but of no fewer than the log."""
    stored, logged = run.results.split.test_openings, Journal(run.folder / LOG).count_openings()
    comparison.compare("split.test_openings", stored, max(stored, logged))


def _check_resplits(run: RunRecord, result: BackboneResult, examples: ExampleTable, comparison: Comparison) -> None:
    """The spread over other splits, from what was answered on each; labels are those of data.parquet."""
    if result.search.splits is None:
        return
    where = f"backbones[{result.name}].search.splits"
    try:
        resplits = run.resplits(result.name)
    except VitrailError as error:
        comparison.differ(where, "answers on each split", str(error))
        return
    label = {
        example: label
        for example, label, split in zip(examples.ids, examples.labels, examples.splits, strict=True)
        if split in ("train", "val")
    }
    for resplit in resplits:
        known = [label.get(example) for example in resplit.ids]
        where_labels = f"splits of {result.name}: labels of number {resplit.number}"
        comparison.compare(where_labels, resplit.label_M.tolist(), known)
    comparison.compare(where, _json(result.search.splits), _json(spread_of(resplits, len(label))))


def _make_contestant(
    run: RunRecord,
    result: BackboneResult,
    rows: Predictions,
    examples: ExampleTable,
    images: JudgedImages,
    cache: Path,
    comparison: Comparison,
) -> Contestant:
    """One backbone as it went into the verdict, its predictions checked where its features are at hand."""
    stored = _stored_features(cache, result, rows.ids)
    if stored is None:
        comparison.not_recomputed.append(f"predictions of {result.name} from its features, which are not in the cache")
    else:
        _check_head(run, result, rows, stored, comparison, where=f"predictions of {result.name}")
    refusal, strange_N = _read_thresholds(run, result, rows, stored, comparison), None
    if refusal is not None:
        _check_thresholds(run, result, refusal, examples, cache, comparison)
        strange_N = np.zeros(len(rows.ids), bool) if stored is None else refusal.strange(stored)
    comparison.not_recomputed.append(f"what {result.name} saw in pretraining: this needs its weights; used as stored")
    halves, out_of_fold = check_subsets(run, result, examples, comparison)
    read_rows = partial(_stored_features, cache, result)
    return Contestant(
        halves=halves,
        out_of_fold=out_of_fold,
        features=compare_features_again(run.results, result, examples, read_rows, comparison),
        new_probability_MC=read_new_answers(run, result, images.left_out, rows, comparison),
        name=result.name,
        gmacs=result.card.gmacs,
        licence=result.card.licence,
        probability_NC=rows.probability_NC,
        refusal=refusal,
        strange_N=strange_N,
    )


def _read_thresholds(
    run: RunRecord,
    result: BackboneResult,
    rows: Predictions,
    stored: NDArray[np.float32] | None,
    comparison: Comparison,
) -> Refusal | None:
    """The thresholds of a head; None, and a difference, where the file is missing or does not fit the head."""
    path = run.refusal_file(result.name)
    try:
        features = None if stored is None else stored.shape[1]
        return run.read(path, partial(load_refusal, features=features, classes=rows.probability_NC.shape[1]))
    except VitrailError as error:
        comparison.differ(path.name, "thresholds", str(error))
        return None


def _stored_features(cache: Path, result: BackboneResult, ids: Sequence[str]) -> NDArray[np.float32] | None:
    """The rows of these images as the head takes them, or None if the cache lacks one."""
    facts = read_facts(cache / FEATURES / result.feature_key)
    if facts is None:
        return None  # there are none, or their facts are damaged: without these nobody knows what the rows are
    storage = facts.pop("storage", "float32")
    stored = FeatureSet(cache, facts, storage)
    stored.set_damaged_aside()
    if stored.key != result.feature_key or not stored.has(ids).all():
        return None
    pooled = take_pooling(stored.rows(ids), held=str(facts["poolings"]), wanted=result.search.pooling)
    return np.asarray(pooled)


def _check_thresholds(
    run: RunRecord,
    result: BackboneResult,
    refusal: Refusal,
    examples: ExampleTable,
    cache: Path,
    comparison: Comparison,
) -> None:
    """Set them again from the head's predictions for the calibration split, and these from stored features."""
    check_bank(result.name, refusal, examples, partial(_stored_features, cache, result), comparison)
    if refusal.set_on != "calibration":
        comparison.not_recomputed.append("sets and confidences that were set on out-of-fold probabilities")
        return
    try:
        rows = run.calibration(result.name)
    except VitrailError as error:
        comparison.differ(f"calibration of {result.name}", "predictions", str(error))
        return
    check_calibration(result.name, refusal, rows, examples, comparison)
    stored = _stored_features(cache, result, rows.ids)
    if stored is not None:
        _check_head(run, result, rows, stored, comparison, where=f"calibration of {result.name}")


def _check_head(
    run: RunRecord,
    result: BackboneResult,
    rows: Predictions,
    feature_ND: NDArray[np.float32],
    comparison: Comparison,
    *,
    where: str,
) -> None:
    where += " against its head and features"
    try:
        head, origin = run.read(run.head_file(result.name), load_head)
        again_NC = probabilities(head, feature_ND)
    except VitrailError as error:
        comparison.differ(where, "a head that fits", str(error))
        return
    comparison.compare(f"head of {result.name}: temperature", result.search.temperature, head.temperature)
    comparison.compare(f"head of {result.name}: feature key", result.feature_key, origin.get("feature_key"))
    if rows.probability_NC.shape != again_NC.shape:
        comparison.differ(where, f"{rows.probability_NC.shape[1]} classes", f"{again_NC.shape[1]} classes")
        return
    comparison.compared += again_NC.size
    near_NC = np.isclose(rows.probability_NC, again_NC, rtol=0, atol=HEAD_ROUNDING)
    off_N = np.flatnonzero(~np.all(near_NC, axis=1))
    if len(off_N):
        row = int(off_N[0])
        column = int(np.abs(rows.probability_NC[row] - again_NC[row]).argmax())
        where += f": {len(off_N)} of {len(rows.ids)} images, first {rows.ids[row][:12]}…, {head.classes[column]}"
        comparison.differ(where, rows.probability_NC[row, column], again_NC[row, column])


def _judge_again(results: Results, contestants: list[Contestant], images: JudgedImages, test: Predictions) -> Verdict:
    return assess(
        contestants,
        images,
        test.label_N,
        make_criteria(results.options, results.race),
        contamination={result.name: result.contamination for result in results.backbones},
    )


def _check_verdict(results: Results, verdict: Verdict, comparison: Comparison) -> None:
    for result, judged in zip(results.backbones, verdict.backbones, strict=True):
        for field in ("test", "per_class", "reliability", "refusal", "retraining", "conditions"):
            stored, again = _json(getattr(result, field)), _json(getattr(judged, field))
            if field == "refusal" and again is not None and _lacks_features(comparison, result.name):
                stored.pop("flagged")
                again.pop("flagged")
            comparison.compare(f"backbones[{result.name}].{field}", stored, again)
    comparison.compare("pairs", _json(results.pairs), _json(verdict.pairs))
    comparison.compare("retrained", _json(results.retrained), _json(verdict.retrained))
    comparison.compare("shares", _json(results.shares), _json(verdict.shares))
    comparison.compare("winner", _json(results.winner), _json(verdict.winner))
    comparison.compare("decision", _json(results.decision), _json(verdict.decision))


def _lacks_features(comparison: Comparison, name: str) -> bool:
    return any(line.startswith(f"predictions of {name} from its features") for line in comparison.not_recomputed)


def _json(value: Any) -> Any:
    return TypeAdapter(type(value) if not isinstance(value, tuple) else tuple[Any, ...]).dump_python(value, mode="json")
