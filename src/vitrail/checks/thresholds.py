"""Whether the thresholds of a run follow from what its head said of the calibration part."""

import numpy as np

from vitrail.candidates.thresholds import set_thresholds
from vitrail.checks.differences import Work
from vitrail.heads.predictions import Predictions
from vitrail.heads.refusal import RULES, Refusal
from vitrail.runs.tables import Examples
from vitrail.statistics.conformal import confident_enough


def check_calibration(name: str, refusal: Refusal, rows: Predictions, examples: Examples, work: Work) -> None:
    """Compare images, labels and thresholds with those that the run's own tables give.

    Args:
        name: of the backbone.
        refusal: the thresholds as they are stored.
        rows: what the head said of the calibration part.
        examples: data.parquet, which says what that part is and how it is labelled.
        work: where it is noted.
    """
    where = f"calibration of {name}"
    label = {
        example: label
        for example, label, part in zip(examples.ids, examples.labels, examples.parts, strict=True)
        if part == "calibration"
    }
    work.compare(f"{where}: images", sorted(rows.ids), sorted(label))
    if set(rows.ids) == label.keys():
        work.compare(f"{where}: labels", rows.label_N.tolist(), [label[example] for example in rows.ids])
    work.compare(f"{where}: number of images", refusal.images, len(rows.ids))
    classes = rows.probability_NC.shape[1]
    foreign = [label for label in rows.label_N.tolist() if not 0 <= label < classes]
    if foreign:
        work.differ(f"{where}: thresholds", f"set on {classes} classes", f"a label {foreign[0]}, which is none of them")
        return
    again_RC = set_thresholds(rows.probability_NC, rows.label_N, refusal.alpha)
    for rule, stored_C, again_C in zip(RULES, refusal.threshold_RC, again_RC, strict=True):
        work.compare(f"{where}: thresholds {rule}", stored_C.tolist(), again_C.tolist())
    confidence = confident_enough(
        rows.probability_NC.max(axis=1),
        np.asarray(rows.probability_NC.argmax(axis=1) == rows.label_N),
        precision=refusal.precision,
        risk=refusal.risk,
    )
    work.compare(f"{where}: confidence", refusal.confidence, confidence)
