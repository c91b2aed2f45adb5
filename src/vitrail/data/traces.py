"""Whether a backbone saw the test images in pretraining, as far as known before the test labels are opened.

`candidates/` finds these traces and `evaluation/` judges them; neither imports the other, so the record is declared in
this package, below both.

Letters: N test images.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Collection = Literal["ImageNet-1k", "ImageNet-21k"]  # the second holds the first
Strength = Literal["proof", "probable", "hint"]
Pretraining = Literal["stated", "its classifier", "its name", "stated otherwise", "not stated"]
MatchedBy = Literal["names", "answers on training images"]
Sighting = Literal["seen", "probably", "cannot tell", "no sign", "not seen"]

MOST = 0.5  # of the classes or images; a smaller share is a coincidence of names or answers, not a hint


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """A sign that test images were in the training set of a collection; `share` is of the test images.

    A proof names these same images. Classes of a known data set make it probable: a user's own photographs may have the
    same class names. A hint says nothing about these images.
    """

    kind: Literal["file names", "known data set", "class names", "answers on training images"]
    strength: Strength
    collection: Collection
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

    `trained_on` are the collections that it is known to have been trained on, and `pretraining` says how that is known.
    `named_after` are those that only its name states: what a local file holds, its name does not prove.
    `local_file` is whether its weights are a file that is not known to be a published one.
    `labels_seen` is false for a backbone that saw the images without labels, as self-supervised ones do.
    `named_N` says which test images carry ids of these collections.
    """

    trained_on: tuple[Collection, ...]
    named_after: tuple[Collection, ...]
    pretraining: Pretraining
    local_file: bool
    labels_seen: bool
    evidence: tuple[Evidence, ...]
    named_N: NDArray[np.bool_]
    untuned: UntunedAnswers | None

    @property
    def share(self) -> float:
        """The share of the test images that the backbone is known to have seen."""
        return float(self.named_N.mean())

    @property
    def sighting(self) -> Sighting:
        """Whether the backbone saw the test images: known by file names, probable from class names, or unknown.

        Where file names prove it of a few images and class names make it probable of all, it is probable.
        """
        probable = any(sign.strength == "probable" and sign.collection in self.trained_on for sign in self.evidence)
        if self.share >= MOST or (self.share > 0 and not probable):
            return "seen"
        if probable:
            return "probably"
        if self.is_pretraining_unknown or any(sign.strength == "proof" or sign.share >= MOST for sign in self.relevant):
            return "cannot tell"
        return "not seen" if any(sign.strength != "hint" for sign in self.evidence) else "no sign"

    @property
    def relevant(self) -> tuple[Evidence, ...]:
        """The evidence for collections that the backbone was trained on, or may have been for all that is stated."""
        unknown = self.is_pretraining_unknown
        return tuple(sign for sign in self.evidence if unknown or sign.collection in self.trained_on)

    @property
    def is_pretraining_unknown(self) -> bool:
        """Whether it may have been trained on anything, as far as is known."""
        return self.pretraining in ("not stated", "its classifier", "its name")


def say_about(share: float) -> str:
    """A share as one says it: "about 100%", "0.4%"."""
    return f"about {100 * share:.0f}%" if share >= 0.01 else f"{100 * share:.1g}%"
