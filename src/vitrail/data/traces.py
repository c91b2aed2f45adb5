"""What is known, before the test labels are opened, of whether a backbone saw the test images in pretraining.

`candidates/` finds these traces and `evaluation/` weighs them; neither imports the other, so the record is declared
here, below both.

Letters: N test images.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Strength = Literal["proof", "strong", "hint"]
Pretraining = Literal["stated", "its classifier", "stated otherwise", "not stated"]
MatchedBy = Literal["names", "answers on training images"]

MOST = 0.5  # of the classes or images; a smaller share is a coincidence of names or answers, and no hint


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """One thing that speaks for it that images were in ImageNet's training set; `share` is of the test images."""

    kind: Literal["file names", "known data set", "class names", "answers on training images"]
    strength: Strength
    share: float
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class UntunedAnswers:
    """The answers of a backbone's own classifier, untuned, on the test images.

    `places` are the outputs that each matched class may mean, by its index. `predicted_N` is the most probable of the
    matched classes, `free_N` whether the most probable of all outputs belongs to it.
    """

    label_set: str
    matched_by: MatchedBy
    places: Mapping[int, tuple[int, ...]]
    predicted_N: NDArray[np.int64] = field(repr=False)
    free_N: NDArray[np.bool_] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Traces:
    """What is known of one backbone before the opening.

    `pretraining` says how it is known whether the backbone was trained on ImageNet, and `trained` whether it was.
    `named_N` says which test images carry ids.
    """

    trained: bool
    pretraining: Pretraining
    evidence: tuple[Evidence, ...]
    named_N: NDArray[np.bool_]
    untuned: UntunedAnswers | None


def say_about(share: float) -> str:
    """A share as one says it: "about 100%", "0.4%"."""
    return f"about {100 * share:.0f}%" if share >= 0.01 else f"{100 * share:.1g}%"
