"""What a test of so many images can show: before the run from typical figures, beside its decision from its own.

It is said below 400 test images: there an accuracy of 90% is known to 3 points at best (Wilson's interval at 95%).
"""

from collections.abc import Sequence

from vitrail.data import Dataset, Split, plan_leave_out
from vitrail.evaluation.sentences import say_distance
from vitrail.statistics.intervals import wilson
from vitrail.statistics.paired import visible_difference

SMALL_TEST = 400
# What is taken for granted before the run; afterwards there are figures.
TYPICAL_ACCURACY = 0.9
TYPICAL_DISCORDANCE = 0.1


def say_plan(
    dataset: Dataset, split: Split, *, backbones: int, level: float, left_out: str | None = None
) -> tuple[str, ...]:
    """What is about to be compared on, what a small test can show of it, and what a column to leave out costs.

    `backbones` are counted under every recipe.

    Raises:
        DataError: no comparison can be made on values left out of the column.
    """
    return (*_say_images(dataset, split, backbones, level), *_say_left_out(dataset, split, left_out))


def _say_left_out(dataset: Dataset, split: Split, column: str | None) -> tuple[str, ...]:
    if column is None:
        return ()
    plan = plan_leave_out(dataset, split, column)
    return (
        f"The {len(plan.fold_of):,} values of {column} are left out in turn: {plan.folds} more fits of the chosen head "
        f"for each backbone, each on at least {100 * plan.kept_share:.0f}% of the images to learn from.",
    )


def _say_images(dataset: Dataset, split: Split, backbones: int, level: float) -> tuple[str, ...]:
    parts = [f"{len(split.train):,} to train on"]
    parts.append(f"{len(split.val):,} val" if split.val else f"no val: {len(split.folds)}-fold cross-validation")
    parts += [f"{len(split.calibration):,} calibration"] if split.calibration else []
    images = dataset.table.num_rows
    counted = (
        f"{dataset.name}: {images:,} images of {len(dataset.classes):,} classes; "
        f"{', '.join(parts)}, {len(split.test):,} test."
    )
    n = len(split.test)
    if not 0 < n < SMALL_TEST:
        return (counted,)
    interval = wilson(round(TYPICAL_ACCURACY * n), n, level)
    pairs = backbones * (backbones - 1) // 2
    visible = visible_difference(TYPICAL_DISCORDANCE, n, alpha=(1 - level) / pairs) if pairs else None
    groups = dataset.groups()
    distinct = len({groups.get(example, example) for example in split.test})
    grouped = f" They come from {distinct:,} groups, so they show less still." if distinct < n else ""
    assumed = "accuracies near 90%"
    if pairs:
        assumed += ", and one image in ten that only one of two backbones gets right"
    return counted, f"{say_test_size(n, (interval.high - interval.low) / 2, visible)} (Assumed: {assumed}.){grouped}"


def say_test_size(n: int, half_width: float, visible: float | None) -> str:
    """What `n` test images can show: how well an accuracy is known, and the least difference that they make visible.

    `half_width` and `visible` are fractions; `visible` is None for a single backbone.
    """
    images = "1 test image" if n == 1 else f"{n:,} test images"
    known = f"With {images} an accuracy is known to about ±{say_distance(half_width)}"
    if visible is None:
        return f"{known}."
    return f"{known}, and two backbones can be told apart only if they differ by about {say_distance(visible)} or more."


def say_small_test(n: int, half_widths: Sequence[float], visible: Sequence[float]) -> tuple[str, ...]:
    """The same after the run, from the widest interval and the pair that shows least; empty for a large test."""
    if n >= SMALL_TEST:
        return ()
    return (say_test_size(n, max(half_widths), max(visible, default=None)),)
