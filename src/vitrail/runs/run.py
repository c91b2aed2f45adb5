"""One finished benchmark: the folder, what its results say, and how it is put there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vitrail.candidates import Candidate
from vitrail.core.errors import RunError, UsageError
from vitrail.core.hashing import sha256_file
from vitrail.core.same_bytes import ChangedFileError, same_bytes
from vitrail.core.whole_files import write_whole
from vitrail.data import Dataset, Split, plan_leave_out
from vitrail.heads import save_head
from vitrail.heads.head import Predictions
from vitrail.heads.refusal import save_refusal
from vitrail.runs.folder import (
    DATA,
    REPORT,
    RESULTS,
    calibration_file,
    head_file,
    left_out_file,
    prediction_file,
    refusal_file,
    resplits_file,
    search_file,
    subsets_file,
)
from vitrail.runs.receipt import compare_with_receipt, read_receipt
from vitrail.runs.results import BackboneResult, Results, read_results, results_to_json
from vitrail.runs.tables import (
    ExampleTable,
    read_examples,
    read_paths,
    read_predictions,
    read_resplits,
    read_subsets,
    write_examples,
    write_predictions,
    write_resplits,
    write_subsets,
    write_trials,
)
from vitrail.search import Resplit, Search, SubsetScores

Content = TypeVar("Content")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """A finished run. The folder can be moved: nothing in it names its own place.

    `digests` are those of its files, by their place, that its receipt has; a file is read only as these bytes. A run
    that was just written, or that `vitrail verify` reads, has none.
    """

    folder: Path
    results: Results
    digests: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"RunRecord({str(self.folder)!r})"

    def backbone(self, name: str) -> BackboneResult:
        """The result of one backbone, by its name in the run: as given to `-b` before any `=`, with +recipe or without.

        Raises:
            UsageError: the run has no such backbone.
        """
        for result in self.results.backbones:
            if result.name == name:
                return result
        known = ", ".join(result.name for result in self.results.backbones)
        raise UsageError(f"The run {self.folder} has no backbone {name!r}; it has {known}.")

    def predictions(self, name: str) -> Predictions:
        """The test rows of one backbone, with their probabilities."""
        return self.read(prediction_file(self.folder, self.backbone(name).name), read_predictions)

    def calibration(self, name: str) -> Predictions:
        """The predictions for the calibration split; RunError in a run without one."""
        return self.read(calibration_file(self.folder, self.backbone(name).name), read_predictions)

    def resplits(self, name: str) -> tuple[Resplit, ...]:
        """The winner's predictions on other splits of train and val; RunError if there are none."""
        return self.read(resplits_file(self.folder, self.backbone(name).name), read_resplits)

    def subsets(self, name: str) -> SubsetScores:
        """The winner's predictions when fitted on parts of train and val; RunError if there are none."""
        return self.read(subsets_file(self.folder, self.backbone(name).name), read_subsets)

    def left_out(self, name: str) -> Predictions:
        """The test rows of heads that never saw the value of an image in the column left out; RunError without one."""
        return self.read(left_out_file(self.folder, self.backbone(name).name), read_predictions)

    def examples(self) -> ExampleTable:
        """The examples, column by column."""
        return self.read(self.folder / DATA, read_examples)

    def paths(self) -> dict[str, str]:
        """The first path of each example, by id."""
        return self.read(self.folder / DATA, read_paths)

    def read(self, path: Path, read: Callable[[Path], Content]) -> Content:
        """The content of one of its files.

        Raises:
            RunError: the file is not the one that the receipt lists.
        """
        digest = self.digests.get(path.relative_to(self.folder).as_posix())
        if digest is None:
            return read(path)
        try:
            with same_bytes([path], partial(sha256_file, path), digest):
                return read(path)
        except ChangedFileError as error:
            raise RunError(_say_changed(self.folder, path.name)) from error

    @property
    def report(self) -> Path:
        """The page."""
        return self.folder / REPORT

    def head_file(self, name: str) -> Path:
        """Where the winning head of one backbone is."""
        return head_file(self.folder, self.backbone(name).name)

    def refusal_file(self, name: str) -> Path:
        """Where the thresholds of that head are."""
        return refusal_file(self.folder, self.backbone(name).name)


def load_run(folder: Path) -> RunRecord:
    """The run in a folder, after every file was compared with its receipt.

    Raises:
        RunError: there is no finished run, or one of its files was changed, damaged or deleted.
    """
    results, receipt = read_results(folder / RESULTS), read_receipt(folder)
    for what, expected, actual in compare_with_receipt(folder, results, receipt):
        if expected != actual:
            raise RunError(_say_changed(folder, what))
    record = RunRecord(folder=folder, results=results, digests=receipt.files)
    return replace(record, results=record.read(folder / RESULTS, read_results))


def _say_changed(folder: Path, what: str) -> str:
    return (
        f"The run {folder} was changed after it finished: {what} was changed, damaged or deleted. `vitrail verify` "
        "lists all differences. Use an intact copy, or repeat the run."
    )


def write_run(
    folder: Path,
    results: Results,
    dataset: Dataset,
    split: Split,
    candidates: Sequence[Candidate],
    predictions: Sequence[Predictions],
) -> RunRecord:
    """Put the data, searches, heads, predictions and results of a run into its folder; results.json last."""
    write_whole(folder / DATA, lambda path: write_examples(path, dataset, split))
    for candidate, tested, result in zip(candidates, predictions, results.backbones, strict=True):
        if candidate.calibration is not None:
            _write_predictions(calibration_file(folder, candidate.name), candidate.calibration, dataset.classes)
        _write_search(folder, candidate.search, result)
        write_whole(refusal_file(folder, candidate.name), partial(save_refusal, candidate.refusal))
        _write_predictions(prediction_file(folder, candidate.name), tested, dataset.classes)
        if candidate.new_probability_MC is not None:
            _write_left_out(folder, results, dataset, split, candidate.new_probability_MC, tested)
    content = results_to_json(results)
    write_whole(folder / RESULTS, lambda path: path.write_bytes(content))
    return RunRecord(folder=folder, results=results)


def _write_predictions(path: Path, predictions: Predictions, classes: Sequence[str]) -> None:
    write_whole(path, partial(write_predictions, predictions=predictions, classes=classes))


def _write_left_out(
    folder: Path,
    results: Results,
    dataset: Dataset,
    split: Split,
    probability_MC: NDArray[np.float64],
    tested: Predictions,
) -> None:
    """The answers of heads that never saw the value of an image; `tested` are those of the head that did."""
    column = results.options.search.leave_out
    assert column is not None  # there are such answers
    judged = plan_leave_out(dataset, split, column).value_of
    label_M = tested.label_N[np.array([example in judged for example in tested.ids])]
    rows = replace(tested, ids=tuple(judged), label_N=label_M, probability_NC=probability_MC)
    _write_predictions(left_out_file(folder, tested.name), rows, dataset.classes)


def _write_search(folder: Path, search: Search, result: BackboneResult) -> None:
    """Every trial of one backbone, its winner on other splits and on parts, and as a head with its origin."""
    origin = {
        "backbone": result.name,
        "weights_sha256": result.weights_sha256,
        "engine": result.engine,
        "precision": result.precision,
        "ranges": result.ranges,
        "feature_key": result.feature_key,
        "pooling": search.pooling,
    }
    write_whole(search_file(folder, search.backbone), lambda path: write_trials(path, search.trials))
    if search.resplits:
        write_whole(resplits_file(folder, search.backbone), lambda path: write_resplits(path, search.resplits))
    if search.subsets is not None:
        write_whole(subsets_file(folder, search.backbone), partial(write_subsets, scores=search.subsets))
    write_whole(head_file(folder, search.backbone), lambda path: save_head(search.head, path, origin))
