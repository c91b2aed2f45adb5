"""Whether the thresholds of a run follow from its head's predictions for the calibration split."""

import numpy as np

from vitrail.candidates.thresholds import set_thresholds
from vitrail.checks.differences import Comparison
from vitrail.heads.head import Predictions
from vitrail.heads.refusal import RULES, Refusal
from vitrail.runs.tables import ExampleTable
from vitrail.statistics.conformal import confident_enough


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
            f"{where}: thresholds", f"set on {classes} classes", f"a label {foreign[0]}, which is none of them"
        )
        return
    again_RC = set_thresholds(rows.probability_NC, rows.label_N, refusal.alpha)
    for rule, stored_C, again_C in zip(RULES, refusal.threshold_RC, again_RC, strict=True):
        comparison.compare(f"{where}: thresholds {rule}", stored_C.tolist(), again_C.tolist())
    confidence = confident_enough(
        rows.probability_NC.max(axis=1),
        np.asarray(rows.probability_NC.argmax(axis=1) == rows.label_N),
        precision=refusal.precision,
        risk=refusal.risk,
    )
    comparison.compare(f"{where}: confidence", refusal.confidence, confidence)
