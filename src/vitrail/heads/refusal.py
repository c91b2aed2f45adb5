"""When a head should not answer: sets of classes, a least confidence, and a largest distance to the training images.

A refusal file is safetensors with the thresholds of each class and a bank of training features, and one entry of
metadata, `vitrail_refusal`: canonical JSON with version, guarantees and thresholds.

Letters: N examples, D features, C classes, B rows of the bank, R = 4 rules for sets.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vitrail.core.bounded import open_regular, parse_json
from vitrail.core.errors import WeightsError
from vitrail.core.hashing import fingerprint, sha256_bytes
from vitrail.heads.bank import neighbour_distance
from vitrail.heads.scores import are_unit
from vitrail.statistics.conformal import SCORES, ScoreKind

FORMAT_VERSION = 1
METADATA_KEY = "vitrail_refusal"
LARGEST = sys.float_info.max
RULES: tuple[str, ...] = ("lac", "adaptive", "lac-by-class", "adaptive-by-class")
SetOn = Literal["out-of-fold", "calibration"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The thresholds that decide what is said of an image, once its probabilities and its distance are known.

    `threshold_RC` has a row for each of RULES; a class with a score above it is not in the set. An answer needs
    `confidence` for `precision`; None if the test found no such confidence. An image at more than `distance` from the
    training images is strange.
    """

    threshold_RC: NDArray[np.float64] = field(repr=False)
    precision: float
    confidence: float | None
    distance: float

    def sets(self, probability_NC: NDArray[np.float64], rule: str = "lac") -> NDArray[np.bool_]:
        """Which classes are in the set of each example, N x C, by one of RULES."""
        kind: ScoreKind = "adaptive" if rule.startswith("adaptive") else "lac"
        score_NC = SCORES[kind](probability_NC)
        result: NDArray[np.bool_] = score_NC <= self.threshold_RC[RULES.index(rule)]
        return result

    def sure(self, probability_NC: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each answer has the confidence for the precision; without such a confidence all count as sure."""
        return np.asarray(probability_NC.max(axis=1) >= (0.0 if self.confidence is None else self.confidence))

    def far(self, distance_N: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each example is further from the training images than they are from one another."""
        return np.asarray(distance_N > self.distance)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal(Limits):
    """The guarantees of a head with their thresholds, which are never set on test images.

    `set_on` says on which `images` thresholds and confidence were set: out-of-fold probabilities of train and val
    (cross-conformal), or a calibration split that was used for nothing else (split conformal). `groups` counts the
    groups of these images; an image without one is a group of its own. With groups every promise is about an image
    drawn from a new group, and each group counts the same. `bank_BD` has training features of length 1. `distance` is a
    cosine distance to the `neighbours`-th of them: a share of 1 - `alarms` of the training images is nearer than that
    to training images of other groups.
    """

    set_on: SetOn
    images: int
    groups: int
    alpha: float
    risk: float
    neighbours: int
    alarms: float
    bank_BD: NDArray[np.float16] = field(repr=False)

    @property
    def digest(self) -> str:
        """Identifies everything here, to the last bit."""
        return fingerprint(
            [_facts(self), *(sha256_bytes(array.tobytes()) for array in (self.threshold_RC, self.bank_BD))]
        )

    def distances(self, feature_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        """The cosine distance of each example to the training images."""
        return neighbour_distance(feature_ND, self.bank_BD, self.neighbours)

    def strange(self, feature_ND: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether each example is further from the training images than they are from one another."""
        return self.far(self.distances(feature_ND))


def save_refusal(refusal: Refusal, path: Path) -> None:
    """Write it, the same bytes for the same thresholds."""
    from safetensors.numpy import save

    tensors: dict[str, NDArray[Any]] = {
        "threshold": np.ascontiguousarray(refusal.threshold_RC),
        "bank": np.ascontiguousarray(refusal.bank_BD),
    }
    metadata = {METADATA_KEY: json.dumps(_facts(refusal), sort_keys=True, allow_nan=False)}
    path.write_bytes(save(tensors, metadata=metadata))


def load_refusal(path: Path, *, features: int | None = None, classes: int | None = None) -> Refusal:
    """Read what `save_refusal` wrote. Nothing in the file is executed.

    Args:
        features: the width of the head's rows; None accepts any.
        classes: the number of the head's classes; None accepts any.

    Raises:
        WeightsError: the file is damaged, holds something else, has another format version, does not fit together, or
            belongs to another head.
    """
    from safetensors import SafetensorError, safe_open

    try:
        open_regular(path).close()  # its reader would wait at a pipe
        with safe_open(path, framework="numpy") as file:
            facts = parse_json((file.metadata() or {})[METADATA_KEY])
            if facts.pop("format_version") != FORMAT_VERSION:
                raise WeightsError(
                    f"{path} was written by another version of Vitrail: use that version, or repeat the run."
                )
            refusal = Refusal(threshold_RC=file.get_tensor("threshold"), bank_BD=file.get_tensor("bank"), **facts)
    except (OSError, SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as thresholds of a head ({error!r}): repeat the run.") from error
    fault = _wrong_facts(refusal) or _wrong_tensors(refusal, features, classes)
    if fault:
        raise WeightsError(f"{path} is inconsistent, or does not belong to its head: {fault}. Repeat the run.")
    return refusal


def _wrong_facts(refusal: Refusal) -> str | None:
    """A sentence that names an impossible guarantee or threshold; None if all are possible."""
    for name, value in _facts(refusal).items():
        if name == "set_on":
            fits = value in get_args(SetOn)
        elif name in ("images", "groups", "neighbours"):
            fits = type(value) is int and value >= 0
        elif name in ("alpha", "precision", "risk", "alarms"):
            fits = type(value) in (int, float) and 0 <= value <= 1
        else:
            unknown = name == "confidence" and value is None
            fits = unknown or (type(value) in (int, float) and abs(value) <= LARGEST)  # no NaN either
        if not fits:
            return f"{name} is {value!r}"
    return None


def _wrong_tensors(refusal: Refusal, features: int | None, classes: int | None) -> str | None:
    """A sentence that says what is wrong with thresholds or bank; None if nothing is."""
    threshold_RC, bank_BD = refusal.threshold_RC, refusal.bank_BD
    R, C = len(RULES), classes or threshold_RC.size // len(RULES)
    if threshold_RC.dtype.kind != "f" or threshold_RC.shape != (R, C) or np.isnan(threshold_RC).any():
        return f"threshold is {threshold_RC.dtype} of shape {threshold_RC.shape}, not numbers of shape {(R, C)}"
    if bank_BD.dtype.kind != "f" or bank_BD.ndim != 2 or features not in (None, bank_BD.shape[1]):
        return f"bank is {bank_BD.dtype} of shape {bank_BD.shape}, not rows of {features or 'any'} features"
    if not are_unit(bank_BD):
        return "a row of bank is not of length 1"
    B = len(bank_BD)
    return None if 1 <= refusal.neighbours <= B else f"neighbours is {refusal.neighbours} of {B} rows"


def _facts(refusal: Refusal) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "set_on": refusal.set_on,
        "images": refusal.images,
        "groups": refusal.groups,
        "alpha": refusal.alpha,
        "precision": refusal.precision,
        "risk": refusal.risk,
        "confidence": refusal.confidence,
        "neighbours": refusal.neighbours,
        "alarms": refusal.alarms,
        "distance": refusal.distance,
    }
