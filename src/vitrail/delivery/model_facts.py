"""What the JSON files of a model folder hold: the receipt, and what the model takes and gives."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, FiniteFloat

from vitrail.backbones.cards import Preprocessing
from vitrail.delivery.export.layout import MODEL_FILE
from vitrail.heads.refusal import RULES, Limits

MOST_SIDE = 2_048  # pixels of a crop, or of the resize before it

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderReceipt:
    """receipt.json: the run, the sha256 of every other file, and the digest of both, which names the folder."""

    receipt_version: Literal[1]  # RECEIPT_VERSION
    run: Digest
    files: dict[str, Digest]
    digest: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """The limits of a model as JSON has them; `sets` has a threshold of each class for each of RULES."""

    sets: dict[str, tuple[FiniteFloat, ...]]
    alpha: FiniteFloat
    confidence: FiniteFloat | None
    precision: FiniteFloat
    distance: FiniteFloat
    set_on: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightsFacts:
    """Where the weights come from, as their card says."""

    sha256: str
    licence: str
    commercial: str
    repository: str
    revision: str
    pretraining: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """model.json: what the model takes and gives, and what the runtime must do (`format` and `precision`)."""

    model_version: Literal[1]  # MODEL_VERSION
    vitrail_version: str
    run: Digest
    backbone: str
    format: str
    precision: str
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    thresholds: Thresholds
    preprocessing: Preprocessing
    max_pixels: Annotated[int, Field(ge=1)]
    pooling: str
    weights: WeightsFacts
    training_images: str

    def limits(self) -> Limits:
        """The thresholds as they are applied."""
        stored = self.thresholds
        return Limits(
            threshold_RC=np.array([stored.sets[rule] for rule in RULES]),
            precision=stored.precision,
            confidence=stored.confidence,
            distance=stored.distance,
        )

    def fault(self) -> str | None:
        """Why the facts do not fit together; None if they do."""
        sides = (self.preprocessing.crop, self.preprocessing.resize)
        if not all(1 <= side <= MOST_SIDE for side in sides):
            return f"its images are resized to {sides[1]} and cropped to {sides[0]}, and 1 to {MOST_SIDE} are allowed"
        if len(set(self.classes)) != len(self.classes):
            return "two of its classes have the same name"
        rows = self.thresholds.sets
        if any(len(rows.get(rule, ())) != len(self.classes) for rule in RULES):
            return f"it does not have a threshold of each of its {len(self.classes)} classes for each rule"
        if self.format not in MODEL_FILE:
            return f"its format is {self.format!r}, which this version of Vitrail does not know"
        return None
