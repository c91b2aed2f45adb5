"""Accuracy where an image may have several right labels, as with the reassessed labels of ImageNet ("ReaL").

Source: Beyer, Hénaff, Kolesnikov, Zhai and van den Oord 2020, "Are we done with ImageNet?", arXiv:2006.07159, and
google-research/reassessed-imagenet bcd006f, README.md: a prediction is right if it is any of the labels, and images
without a label are left out.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.statistics.intervals import LEVEL, Interval
from vitrail.statistics.metrics import Groups, rate

# Letters: N examples.


@dataclass(frozen=True, kw_only=True, slots=True)
class SeveralLabels:
    """The share of images whose prediction is any right label, and, on the same images, the usual accuracy.

    `left_out` images have no right label.
    """

    any_label: Interval
    single_label: Interval
    left_out: int


def score_several_labels(
    predicted_N: NDArray[np.int64],
    label_N: NDArray[np.int64],
    right_N: Sequence[Collection[int]],
    group_N: Groups = None,
    *,
    level: float = LEVEL,
) -> SeveralLabels | None:
    """Score predictions by several labels an image, beside one.

    Args:
        predicted_N: the predicted class of each image.
        label_N: the one label that each image was published with.
        right_N: all right labels of each image; empty if none fits.
        group_N: the group of each image, 0 to G - 1; None if images are independent.
        level: of the intervals.

    Returns:
        The scores; None if no image has a right label.
    """
    kept_N = np.array([bool(right) for right in right_N], dtype=bool)
    if not kept_N.any():
        return None
    any_N = np.array([predicted in right for predicted, right in zip(predicted_N.tolist(), right_N, strict=True)])
    group_K = None if group_N is None else np.unique(group_N[kept_N], return_inverse=True)[1]
    return SeveralLabels(
        any_label=rate(any_N[kept_N], group_K, level=level),
        single_label=rate((predicted_N == label_N)[kept_N], group_K, level=level),
        left_out=int((~kept_N).sum()),
    )
