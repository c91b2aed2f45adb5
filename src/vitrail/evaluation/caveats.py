"""Caveats of a decision: how the test images limit what its figures mean."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from vitrail.evaluation.deciding_metric import TOP1, DecidingMetric
from vitrail.evaluation.decision import Contender
from vitrail.evaluation.pairs import Pair
from vitrail.evaluation.power import say_small_test
from vitrail.evaluation.sentences import say_names
from vitrail.heads.head import Predictions
from vitrail.statistics.intervals import Interval, wilson

# Letters: C classes.

TINY_CLASS = 5

BALANCED = (
    "With --balanced, probabilities are for classes that are equally frequent. ECE, NLL and Brier score are measured "
    "on the test images' own shares of the classes."
)
ALWAYS = (
    "Intervals say how far figures would move with other test images. They do not cover other training images, "
    "another split or another seed."
)


def find_caveats(
    contenders: Sequence[Contender],
    pairs: Sequence[Pair],
    labels_C: NDArray[np.int64],
    classes: Sequence[str],
    groups: Sequence[str],
    metric: DecidingMetric = TOP1,
) -> tuple[str, ...]:
    """Sentences about the test images that a reader of the decision needs, the most important first.

    `labels_C` is the number of test images of each class, `groups` the group of each test image.
    """
    n = int(labels_C.sum())
    caveats = []
    distinct = len(set(groups))
    if distinct == 1 < n:
        caveats.append(
            f"All {n:,} test images belong to one group: they do not show how accurate a backbone is on other groups, "
            "and the intervals treat the images as independent."
        )
    elif distinct < n:
        caveats.append(
            f"The {n:,} test images come from {distinct:,} groups. The figures of each backbone, the pairs and their "
            "tests allow for this. The figures of an untuned classifier and of parts of the test images do not: they "
            "treat the images as independent, so their intervals are too narrow."
        )
    caveats += _compare_with_chance(contenders, labels_C, classes, metric)
    half_widths = [(c.accuracy.high - c.accuracy.low) / 2 for c in contenders]
    caveats += say_small_test(labels_C, half_widths, [pair.visible for pair in pairs], metric)
    absent = [name for name, count in zip(classes, labels_C, strict=True) if count == 0]
    if absent:
        verb = "has no test images and is" if len(absent) == 1 else "have no test images and are"
        caveats.append(f"{say_names(absent)} {verb} not judged.")
    tiny = [name for name, count in zip(classes, labels_C, strict=True) if 0 < count < TINY_CLASS]
    if tiny:
        verb = "has" if len(tiny) == 1 else "have"
        caveats.append(
            f"{len(tiny):,} of {len(classes):,} classes {verb} fewer than {TINY_CLASS} test images "
            f"({say_names(tiny)}): figures of such a class mean little."
        )
    return (*caveats, ALWAYS)


def _compare_with_chance(
    contenders: Sequence[Contender], labels_C: NDArray[np.int64], classes: Sequence[str], metric: DecidingMetric
) -> list[str]:
    largest = int(labels_C.argmax())
    share = metric.chance(labels_C)
    poor = [c.name for c in contenders if c.accuracy.low <= share]
    if not poor:
        return []
    verb = "is" if len(poor) == 1 else "are"
    return [
        f"The test images do not show that {say_names(poor)} {verb} better than always answering {classes[largest]}, "
        f"{metric.say_chance(share)}."
    ]


def accuracy_without(predictions: Predictions, leaked: Collection[str], *, level: float) -> Interval | None:
    """Top-1 on the test images without the `leaked` ids, with Wilson's interval; None if none or all are leaked."""
    gone = set(leaked)
    kept_N = np.array([id_ not in gone for id_ in predictions.ids], dtype=bool)
    if kept_N.all() or not kept_N.any():
        return None
    correct_N = predictions.probability_NC.argmax(axis=1) == predictions.label_N
    return wilson(int(correct_N[kept_N].sum()), int(kept_N.sum()), level)
