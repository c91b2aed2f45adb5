"""What a test of this size can show: before the run from typical figures, after it from the run's own figures.

The sentence appears below 400 test images: an accuracy of 90% is then known to 3 points at best (Wilson, 95%).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vitrail.data import Dataset, Split, plan_leave_out
from vitrail.evaluation.deciding_metric import TOP1, DecidingMetric
from vitrail.evaluation.sentences import say_distance
from vitrail.statistics.intervals import wilson
from vitrail.statistics.paired import visible_difference

SMALL_TEST = 400
# Assumed before the run; afterwards there are figures.
TYPICAL_ACCURACY = 0.9
TYPICAL_DISCORDANCE = 0.1


def say_plan(
    dataset: Dataset,
    split: Split,
    *,
    backbones: int,
    level: float,
    metric: DecidingMetric = TOP1,
    left_out: str | None = None,
) -> tuple[str, ...]:
    """The images of the comparison, what a small test can show, and what leaving out the values of a column costs.

    `backbones` counts each backbone once for each recipe. The number of test images of a class is estimated from its
    share of the training images, since no test label is known yet.

    Raises:
        DataError: no comparison can be made on values left out of the column.
    """
    return (*_say_images(dataset, split, backbones, level, metric), *_say_left_out(dataset, split, left_out))


def _say_left_out(dataset: Dataset, split: Split, column: str | None) -> tuple[str, ...]:
    if column is None:
        return ()
    plan = plan_leave_out(dataset, split, column)
    return (
        f"The {len(plan.fold_of):,} values of {column} are left out in turn: {plan.folds} more fits of the chosen head "
        f"for each backbone, each on at least {100 * plan.kept_share:.0f}% of train and val.",
    )


def _say_images(
    dataset: Dataset, split: Split, backbones: int, level: float, metric: DecidingMetric
) -> tuple[str, ...]:
    parts = [f"{len(split.train):,} to train on"]
    parts.append(f"{len(split.val):,} val" if split.val else f"no val: {len(split.folds)}-fold cross-validation")
    parts += [f"{len(split.calibration):,} calibration"] if split.calibration else []
    images = dataset.table.num_rows
    counted = (
        f"{dataset.name}: {images:,} images of {len(dataset.classes):,} classes; "
        f"{', '.join(parts)}, {len(split.test):,} test."
    )
    n = round(_even_test(dataset, split, metric))
    if not 0 < n < SMALL_TEST:
        return (counted,)
    interval = wilson(round(TYPICAL_ACCURACY * n), n, level)
    pairs = backbones * (backbones - 1) // 2
    visible = visible_difference(TYPICAL_DISCORDANCE, n, alpha=(1 - level) / pairs) if pairs else None
    groups = dataset.groups()
    distinct = len({groups.get(example, example) for example in split.test})
    grouped = f" They come from {distinct:,} groups, so they show even less." if distinct < len(split.test) else ""
    assumed = "accuracies near 90%"
    if pairs:
        assumed += ", and one image in ten that only one of two backbones gets right"
    if n < len(split.test):
        assumed += ", in every class, and the classes' shares of the training images"
    size = say_test_size(len(split.test), (interval.high - interval.low) / 2, visible, metric)
    return counted, f"{size} (Assumed: {assumed}.){grouped}"


def _even_test(dataset: Dataset, split: Split, metric: DecidingMetric) -> float:
    """How many test images of equal weight would give as much information about the metric."""
    label = dataset.by_id("label")
    label_N = np.array([label[example] for example in split.train], dtype=np.int64)
    labels_C = np.bincount(label_N, minlength=len(dataset.classes))
    return len(split.test) * metric.even_n(labels_C) / max(1, len(split.train))


def say_test_size(n: int, half_width: float, visible: float | None, metric: DecidingMetric = TOP1) -> str:
    """What `n` test images can show: how well an accuracy is known, and the smallest difference that they can show.

    `half_width` and `visible` are fractions; `visible` is None for a single backbone.
    """
    images = "1 test image" if n == 1 else f"{n:,} test images"
    known = f"With {images} {metric.article} {metric.word} is known to about ±{say_distance(half_width)}"
    if visible is None:
        return f"{known}."
    return f"{known}, and two backbones can be told apart only if they differ by about {say_distance(visible)} or more."


def say_small_test(
    labels_C: NDArray[np.int64],
    half_widths: Sequence[float],
    visible: Sequence[float],
    metric: DecidingMetric = TOP1,
) -> tuple[str, ...]:
    """The same after the run, from the widest interval and the pair that shows least; empty for a large test.

    The size of a test is its number of images of equal weight, from `labels_C`, its images of each class.
    """
    if metric.even_n(labels_C) >= SMALL_TEST:
        return ()
    return (say_test_size(int(labels_C.sum()), max(half_widths), max(visible, default=None), metric),)
