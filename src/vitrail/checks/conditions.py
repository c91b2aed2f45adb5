"""The part of a verification about where images come from: slices, values left out, test against training images."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vitrail.candidates.shift import compare_ids
from vitrail.checks.differences import Comparison
from vitrail.core.errors import VitrailError
from vitrail.data.leave_out import LeaveOutPlan, plan_from_values
from vitrail.evaluation import JudgedImages
from vitrail.heads.head import Predictions
from vitrail.runs.results import BackboneResult, Results
from vitrail.runs.run import RunRecord
from vitrail.runs.tables import ExampleTable
from vitrail.statistics.two_samples import TwoSamples


def describe_images(results: Results, examples: ExampleTable, test: Predictions) -> JudgedImages:
    """The test images as they went into the verdict, from data.parquet.

    Raises:
        DataError: no plan to leave values out follows from it, though the options ask for one.
    """
    groups = {example: group for example, group in zip(examples.ids, examples.groups, strict=True) if group is not None}
    place = {example: number for number, example in enumerate(examples.ids)}
    column = results.options.search.leave_out
    return JudgedImages(
        ids=test.ids,
        classes=results.data.classes,
        groups=groups,
        warnings=results.data.warnings,
        slices={
            name: [examples.further[name][place[example]] for example in test.ids]
            for name in results.data.slices
            if name in examples.further
        },
        left_out=None if column is None else plan_again(column, examples, test),
        given="test" in examples.given,
    )


def plan_again(column: str, examples: ExampleTable, test: Predictions) -> LeaveOutPlan:
    """The values that were left out in turn."""
    values = examples.further.get(column, [None] * len(examples.ids))
    value_of = dict(zip(examples.ids, values, strict=True))
    learnt = [
        (value, label)
        for value, label, split in zip(values, examples.labels, examples.splits, strict=True)
        if split in ("train", "val")
    ]
    return plan_from_values(column, learnt, {example: value_of[example] for example in test.ids}, examples.classes)


def read_new_answers(
    run: RunRecord, result: BackboneResult, plan: LeaveOutPlan | None, test: Predictions, comparison: Comparison
) -> NDArray[np.float64] | None:
    """The answers of heads that never saw the value of an image; None if no column was left out."""
    if plan is None:
        return None
    where = f"left-out of {result.name}"
    try:
        rows = run.left_out(result.name)
    except VitrailError as error:
        comparison.differ(where, "answers without each value", str(error))
        return None
    label = dict(zip(test.ids, test.label_N.tolist(), strict=True))
    comparison.compare(f"{where}: images", list(rows.ids), list(plan.value_of))
    comparison.compare(f"{where}: labels", rows.label_N.tolist(), [label.get(example) for example in rows.ids])
    comparison.not_recomputed.append(f"the heads of {result.name} that never saw a value of {plan.column}")
    return rows.probability_NC


def compare_features_again(
    results: Results,
    result: BackboneResult,
    examples: ExampleTable,
    read_rows: Callable[[Sequence[str]], NDArray[np.float32] | None],
    comparison: Comparison,
) -> TwoSamples | None:
    """Compare test and training images by their features once more; as stored where the cache lacks these."""
    stored = result.conditions.shift.features
    if "test" not in examples.given:
        return None
    split_of = dict(zip(examples.ids, examples.splits, strict=True))
    test = sorted(example for example, split in split_of.items() if split == "test")
    learnt = sorted(example for example, split in split_of.items() if split in ("train", "val"))
    groups = {example: group for example, group in zip(examples.ids, examples.groups, strict=True) if group is not None}

    def read(ids: Sequence[str]) -> NDArray[np.float32]:
        rows = read_rows(ids)
        if rows is None:
            raise KeyError(ids[0])
        return rows

    try:
        again = compare_ids(read, test, learnt, groups, seed=results.options.seed)
    except KeyError:
        comparison.not_recomputed.append(f"the features of test and training images of {result.name}, as compared")
        return stored
    return again
