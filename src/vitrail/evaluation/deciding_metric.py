"""The metric that decides between backbones: accuracy over images, or over classes.

Both are means, over the same test images, of whether a backbone is right; they differ in the weight of each image. Code
that ranks, compares or picks takes weights, intervals and words from here, and knows nothing else about the metric.

Letters: N test images, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vitrail.evaluation.sentences import say_distance, say_points, say_rate
from vitrail.statistics import metrics
from vitrail.statistics.intervals import Interval
from vitrail.statistics.metrics import DecideBy
from vitrail.statistics.weighted import class_weights

WORD: Mapping[DecideBy, str] = {"top1": "accuracy", "balanced": "balanced accuracy"}


@dataclass(frozen=True, kw_only=True, slots=True)
class DecidingMetric:
    """One of the two metrics on some images with the labels `label_N`, which top-1 does not need."""

    name: DecideBy = "top1"
    label_N: NDArray[np.int64] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, name: DecideBy, label_N: NDArray[np.int64]) -> Self:
        """The metric of this name on images with these labels."""
        return cls(name=name, label_N=label_N)

    def weigh(self, n: int) -> NDArray[np.float64]:
        """The weight of each of the `n` images, 1 on average: the metric is the weighted share that is right.

        Under balanced accuracy all classes with an image have the same weight.
        """
        return np.ones(n) if self.name == "top1" else class_weights(self._labels)

    def rate(self, correct_N: NDArray[np.bool_], group_N: NDArray[np.int64] | None, *, level: float) -> Interval:
        """The metric of one backbone with its interval."""
        if self.name == "top1":
            return metrics.rate(correct_N, group_N, level=level)
        return metrics.balanced_accuracy(self._labels, correct_N, group_N=group_N, level=level)

    @property
    def _labels(self) -> NDArray[np.int64]:
        assert self.label_N is not None  # `of` gives it
        return self.label_N

    @property
    def word(self) -> str:
        """Its name in a sentence."""
        return WORD[self.name]

    @property
    def article(self) -> str:
        """The article of the word."""
        return "an" if self.name == "top1" else "a"

    @property
    def most(self) -> str:
        """How a sentence calls the backbone with the largest value."""
        return "the most accurate" if self.name == "top1" else "the one with the best balanced accuracy"

    @property
    def unit(self) -> str:
        """What follows "points" when a sentence first mentions them."""
        return "" if self.name == "top1" else f" of {self.word}"

    def chance(self, labels_C: NDArray[np.int64]) -> float:
        """The metric of always answering the largest class, on a test with `labels_C` images of each class."""
        return float(labels_C.max() / labels_C.sum()) if self.name == "top1" else 1 / np.count_nonzero(labels_C)

    def say_chance(self, share: float) -> str:
        """The same in words, as a clause about this answer."""
        if self.name == "top1":
            return f"which is right for {100 * share:.1f}% of the test images"
        return f"whose {self.word} is {100 * share:.1f}%"

    def even_n(self, labels_C: NDArray[np.int64]) -> float:
        """How many images of equal weight give as much information as these, `labels_C` of each class."""
        present_C = labels_C[labels_C > 0]
        return float(present_C.sum() if self.name == "top1" else len(present_C) ** 2 / (1 / present_C).sum())

    def say_of_images(self, rate: Interval) -> str:
        """What a backbone reaches: "84.7% [82.1, 87.0] on 1,000 test images"."""
        return f"{self.say_reached(rate)} on {rate.n:,} test images"

    def say_reached(self, rate: Interval) -> str:
        """The same without the number of images, in a sentence."""
        return say_rate(rate) if self.name == "top1" else f"a {self.word} of {say_rate(rate)}"

    def say_short(self, rate: Interval) -> str:
        """The same for a list: "accuracy 84.7% [82.1, 87.0]"."""
        return f"{self.word} {say_rate(rate)}"

    def say_figures(self, n: int) -> str:
        """What comes before a list of rates on `n` images and a colon."""
        return f"{self.word.capitalize()} on {n:,} images"

    def say_lead(self, difference: Interval) -> str:
        """By how much one backbone leads another."""
        return f"{say_points(difference)}{self.unit}"

    def say_less(self, loss: float) -> str:
        """How far one backbone may be below another, whose name follows: "2 points less accurate than"."""
        below = "less accurate than" if self.name == "top1" else f"of {self.word} below"
        return f"{say_distance(loss)} {below}"


TOP1 = DecidingMetric()
