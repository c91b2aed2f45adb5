"""What a fitted head is, whichever way it was fitted; what it says of features; and how it is kept.

A head file is safetensors with four float32 tensors (`mean`, `scale`, `weight`, `bias`) and one entry of metadata,
`vitrail_head`: canonical JSON with the format's version, kind, classes, temperature, setting and feature recipe.
One entry, because safetensors writes several in an order that differs from process to process.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import DataError, WeightsError

# Letters: N examples, D features, C classes.

FORMAT_VERSION = 1
METADATA_KEY = "vitrail_head"


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """A fitted linear classifier on features, with its temperature.

    probability_NC = softmax(((feature_ND - mean_D) / scale_D @ weight_CD.T + bias_C) / temperature)
    All arrays are float32; `kind` is "logistic" or "softmax"; `setting` is what the search chose.
    """

    kind: str
    classes: tuple[str, ...]
    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]
    weight_CD: NDArray[np.float32]
    bias_C: NDArray[np.float32]
    temperature: float
    setting: dict[str, float | int | str]


def logits(head: Head, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The scores of every class before the temperature.

    Computed in float64, so that a row's scores do not depend on which rows are asked for with it.

    Args:
        head: the head.
        features: N x D, rows of the backbone that the head was fitted on.

    Returns:
        N x C.

    Raises:
        DataError: the features are not rows of the head's width.
    """
    if features.ndim != 2 or features.shape[1] != len(head.mean_D):
        raise DataError(
            f"This head takes rows of {len(head.mean_D)} features, but got an array of shape {features.shape}: "
            "give it features of the backbone that it was fitted on."
        )
    scaled_ND = (features.astype(np.float64) - head.mean_D) / head.scale_D
    result: NDArray[np.float64] = scaled_ND @ head.weight_CD.T.astype(np.float64) + head.bias_C
    return result


def probabilities(head: Head, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The calibrated probability of every class, N x C; rows sum to 1."""
    return softmax(logits(head, features) / head.temperature)


def softmax(logit_NC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores to probabilities, row by row."""
    return np.exp(log_softmax(logit_NC))


def log_softmax(logit_NC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores to log probabilities, row by row; finite wherever the scores are."""
    shifted_NC = logit_NC - logit_NC.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted_NC - np.log(np.exp(shifted_NC).sum(axis=1, keepdims=True))
    return result


def save_head(head: Head, path: Path, recipe: dict[str, str]) -> None:
    """Write a head, the same bytes for the same head.

    Args:
        head: the head.
        path: the file; overwritten.
        recipe: what features the head takes, in words: backbone, weights' digest, preprocessing and so on.
    """
    from safetensors.numpy import save_file

    facts = {
        "format_version": FORMAT_VERSION,
        "kind": head.kind,
        "classes": head.classes,
        "temperature": head.temperature,
        "setting": head.setting,
        "recipe": recipe,
    }
    tensors = {"mean": head.mean_D, "scale": head.scale_D, "weight": head.weight_CD, "bias": head.bias_C}
    contiguous = {name: np.ascontiguousarray(tensor, dtype=np.float32) for name, tensor in tensors.items()}
    save_file(contiguous, path, metadata={METADATA_KEY: json.dumps(facts, sort_keys=True, allow_nan=False)})


def load_head(path: Path) -> tuple[Head, dict[str, str]]:
    """Read what `save_head` wrote. Nothing in the file is executed.

    WeightsError where the file is missing, damaged, no head, of a newer format, or inconsistent.

    Args:
        path: the file.

    Returns:
        The head, and the recipe of the features it takes.
    """
    tensors, metadata = _read(path)
    facts = _facts(metadata, path)
    head = _build(tensors, facts, path)
    return head, facts["recipe"]


def _read(path: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except OSError as error:
        raise WeightsError(f"The head {path} cannot be read ({error.strerror or error}): check the path.") from error
    except SafetensorError as error:
        raise WeightsError(f"The head {path} is not a whole safetensors file ({error}): fit it again.") from error


def _facts(metadata: dict[str, str], path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(metadata[METADATA_KEY])
        version = int(facts["format_version"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path} is a safetensors file but no head of Vitrail: its metadata lack {METADATA_KEY}. "
            "Give a file from the heads folder of a run."
        ) from error
    if version != FORMAT_VERSION:
        raise WeightsError(
            f"The head {path} has format version {version}, and this Vitrail reads version {FORMAT_VERSION}: "
            "use the Vitrail that wrote it, or fit the head again."
        )
    return dict(facts)


def _build(tensors: dict[str, NDArray[np.float32]], facts: dict[str, Any], path: Path) -> Head:
    try:
        head = Head(
            kind=str(facts["kind"]),
            classes=tuple(facts["classes"]),
            mean_D=tensors.pop("mean"),
            scale_D=tensors.pop("scale"),
            weight_CD=tensors.pop("weight"),
            bias_C=tensors.pop("bias"),
            temperature=float(facts["temperature"]),
            setting=dict(facts["setting"]),
        )
        dict(facts["recipe"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"The head {path} is incomplete ({error!r}): fit it again.") from error
    fault = _fault(head, sorted(tensors))
    if fault:
        raise WeightsError(f"The head {path} does not fit together: {fault}. Fit it again.")
    return head


def _fault(head: Head, unexpected: list[str]) -> str | None:
    D, C = head.mean_D.size, len(head.classes)
    wanted = {"mean": (D,), "scale": (D,), "weight": (C, D), "bias": (C,)}
    given = {"mean": head.mean_D, "scale": head.scale_D, "weight": head.weight_CD, "bias": head.bias_C}
    if unexpected:
        return f"unexpected tensors {', '.join(unexpected)}"
    for name, tensor in given.items():
        if tensor.dtype != np.float32 or tensor.shape != wanted[name]:
            return f"{name} is {tensor.dtype} of shape {tensor.shape}, not float32 of shape {wanted[name]}"
        if not np.isfinite(tensor).all():
            return f"{name} holds values that are not finite"
    if not (head.scale_D > 0).all():
        return "scale holds values that are not above 0"
    if not (math.isfinite(head.temperature) and head.temperature > 0):
        return f"the temperature is {head.temperature}"
    return None
