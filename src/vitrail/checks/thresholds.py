"""Whether the thresholds of a run follow from its own tables.

Sets and confidence are set again from the head's predictions for the calibration split, the distance to the training
images from the bank of their features.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.candidates.thresholds import set_thresholds
from vitrail.checks.differences import Comparison
from vitrail.heads.bank import choose_rows, measure_bank, unit_rows
from vitrail.heads.head import Predictions
from vitrail.heads.refusal import RULES, Refusal
from vitrail.runs.tables import ExampleTable
from vitrail.search.examples import number_groups
from vitrail.statistics.abstention import confident_enough

DISTANCE_ROUNDING = 1e-6  # cosines are summed in float32, in the processor's order


def check_calibration(
    name: str, refusal: Refusal, rows: Predictions, examples: ExampleTable, comparison: Comparison
) -> None:
    """Compare images, labels and thresholds with those that the run's own tables give.

    `rows` are the predictions of the backbone `name` for the calibration split.
    """
    where = f"calibration of {name}"
    label = {
        example: label
        for example, label, split in zip(examples.ids, examples.labels, examples.splits, strict=True)
        if split == "calibration"
    }
    comparison.compare(f"{where}: images", sorted(rows.ids), sorted(label))
    if set(rows.ids) == label.keys():
        comparison.compare(f"{where}: labels", rows.label_N.tolist(), [label[example] for example in rows.ids])
    comparison.compare(f"{where}: number of images", refusal.images, len(rows.ids))
    classes = rows.probability_NC.shape[1]
    foreign = [label for label in rows.label_N.tolist() if not 0 <= label < classes]
    if foreign:
        comparison.differ(
            f"{where}: thresholds", f"set on {classes} classes", f"a label {foreign[0]}, which is not one of them"
        )
        return
    group_N = _groups_of(rows.ids, examples)
    comparison.compare(f"{where}: number of groups", refusal.groups, len(np.unique(group_N)))
    again_RC = set_thresholds(rows.probability_NC, rows.label_N, refusal.alpha, group_N)
    for rule, stored_C, again_C in zip(RULES, refusal.threshold_RC, again_RC, strict=True):
        comparison.compare(f"{where}: thresholds {rule}", stored_C.tolist(), again_C.tolist())
    confidence = confident_enough(
        rows.probability_NC.max(axis=1),
        np.asarray(rows.probability_NC.argmax(axis=1) == rows.label_N),
        precision=refusal.precision,
        risk=refusal.risk,
        group_N=group_N,
    )
    comparison.compare(f"{where}: confidence", refusal.confidence, confidence)


def check_bank(
    name: str,
    refusal: Refusal,
    examples: ExampleTable,
    read_rows: Callable[[Sequence[str]], NDArray[np.float32] | None],
    comparison: Comparison,
) -> None:
    """Draw the bank of the backbone `name` again, and set the distance to it.

    `read_rows` gives the stored features of images; None if the cache does not have them.
    """
    where = f"bank of {name}"
    ids = sorted(
        example for example, split in zip(examples.ids, examples.splits, strict=True) if split in ("train", "val")
    )
    chosen = [ids[row] for row in choose_rows(ids, _groups_of(ids, examples))]
    comparison.compare(f"{where}: number of images", len(refusal.bank_BD), len(chosen))
    if len(refusal.bank_BD) != len(chosen):
        return
    feature_BD = read_rows(chosen)
    if feature_BD is None:
        comparison.not_recomputed.append(f"the training features that {name} compares images with")
    elif feature_BD.shape != refusal.bank_BD.shape:
        comparison.differ(f"{where}: width", refusal.bank_BD.shape[1], feature_BD.shape[1])
    else:
        comparison.compared += 1
        off_B = np.flatnonzero((unit_rows(feature_BD).astype(np.float16) != refusal.bank_BD).any(axis=1))
        if len(off_B):
            first = f"{len(off_B)} of {len(chosen)} rows, first that of {chosen[off_B[0]]}"
            comparison.differ(f"{where}: rows", first, "other features in the cache")
    again = measure_bank(refusal.bank_BD, _groups_of(chosen, examples))
    comparison.compare(f"{where}: neighbours", refusal.neighbours, again.neighbours)
    comparison.compare(f"{where}: alarms", refusal.alarms, again.alarms)
    comparison.compared += 1
    if not math.isclose(refusal.distance, again.distance, rel_tol=0, abs_tol=DISTANCE_ROUNDING):
        comparison.differ(f"{where}: distance", refusal.distance, again.distance)


def _groups_of(ids: Sequence[str], examples: ExampleTable) -> NDArray[np.int64]:
    group = dict(zip(examples.ids, examples.groups, strict=True))
    return number_groups(pa.array([group.get(example) for example in ids], pa.string()))
