"""How a head is stored: one safetensors file, which holds no code.

Its tensors are `mean` and `scale` of the features and those of the head's form (`scores.py`). One entry of metadata,
`vitrail_head`, is canonical JSON with the format's version, kind, scaling, classes, temperature, setting and origin:
which features the head was fitted on. One entry, because safetensors writes several in an order that differs from
process to process.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from vitrail.core.bounded import open_regular, parse_json
from vitrail.core.errors import WeightsError
from vitrail.heads.head import Head
from vitrail.heads.scaling import SCALINGS, Scaling
from vitrail.heads.scores import FORM_OF, Array, Neighbours

FORMAT_VERSION = 2
METADATA_KEY = "vitrail_head"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Facts:
    """The metadata of a head file."""

    format_version: int
    kind: str
    scaling: str
    classes: tuple[str, ...]
    temperature: float
    setting: dict[str, float | int | str]
    origin: dict[str, str]


_FACTS = TypeAdapter(_Facts)


def save_head(head: Head, path: Path, origin: dict[str, str]) -> None:
    """Write a head; a file that is there already is overwritten. `origin` as for `head_to_bytes`."""
    path.write_bytes(head_to_bytes(head, origin))  # save_file makes files that only their owner can read


def head_to_bytes(head: Head, origin: dict[str, str]) -> bytes:
    """The file of a head, the same bytes for the same head.

    Args:
        origin: which features the head was fitted on: backbone, the weights' digest, engine, pooling and so on.
    """
    from safetensors.numpy import save

    facts = {
        "format_version": FORMAT_VERSION,
        "kind": head.kind,
        "scaling": head.scaling.kind,
        "classes": head.classes,
        "temperature": head.temperature,
        "setting": head.setting,
        "origin": origin,
    }
    metadata = {METADATA_KEY: json.dumps(facts, sort_keys=True, allow_nan=False)}
    return save(head.tensors(), metadata=metadata)


def load_head(path: Path) -> tuple[Head, dict[str, str]]:
    """Read what `save_head` wrote. Nothing in the file is executed.

    Returns:
        The head and its origin: which features it was fitted on.

    Raises:
        WeightsError: the file is missing or damaged, holds something else than a head, has another format version, or
            does not fit together.
    """
    tensors, metadata = _read(path)
    facts = _facts(metadata, path)
    head = _build(tensors, facts, path)
    return head, facts.origin


def _read(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        open_regular(path).close()  # its reader would wait at a pipe
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except OSError as error:
        raise WeightsError(f"The head {path} cannot be read ({error.strerror or error}): check the path.") from error
    except SafetensorError as error:
        raise WeightsError(f"The head {path} is not a complete safetensors file ({error}): fit it again.") from error


def _facts(metadata: dict[str, str], path: Path) -> _Facts:
    try:
        facts = parse_json(metadata[METADATA_KEY])
        version = int(facts["format_version"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WeightsError(
            f"{path} is a safetensors file but not a head of Vitrail: its metadata lack {METADATA_KEY}. "
            "Give a file from the heads folder of a run."
        ) from error
    if version not in range(1, FORMAT_VERSION + 1):
        raise WeightsError(
            f"The head {path} has format version {version}, and this Vitrail reads versions 1 to {FORMAT_VERSION}: "
            "use the Vitrail that wrote it, or fit the head again."
        )
    try:
        return _FACTS.validate_json(metadata[METADATA_KEY], strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise WeightsError(f"The head {path} is damaged ({where}: {fault['msg']}): fit it again.") from error


def _build(tensors: dict[str, Array], facts: _Facts, path: Path) -> Head:
    try:
        form = FORM_OF[facts.kind]
        if form is Neighbours and facts.format_version == 1:  # its votes had no weights
            tensors = {"class_weight": np.ones_like(tensors["prior"])} | tensors
        unexpected = sorted(set(tensors) - {"mean", "scale", *form.names()})
        head = Head(
            kind=facts.kind,
            classes=facts.classes,
            scaling=Scaling(tensors["mean"], tensors["scale"], facts.scaling),  # type: ignore[arg-type]
            scores=form.of(tensors),
            temperature=facts.temperature,
            setting=facts.setting,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"The head {path} is incomplete ({error!r}): fit it again.") from error
    fault = f"unexpected tensors {', '.join(unexpected)}" if unexpected else _fault(head)
    if fault:
        raise WeightsError(f"The head {path} is inconsistent: {fault}. Fit it again.")
    return head


def _fault(head: Head) -> str | None:
    D = head.scaling.mean_D.size
    for name, tensor in (("mean", head.scaling.mean_D), ("scale", head.scaling.scale_D)):
        fault = head.scores.require(name, tensor, (D,))
        if fault:
            return fault
    if not (head.scaling.scale_D > 0).all():
        return "scale has values that are not above 0"
    if head.scaling.kind not in SCALINGS:
        return f"the scaling is {head.scaling.kind!r}"
    if not (math.isfinite(head.temperature) and head.temperature > 0):
        return f"the temperature is {head.temperature}"
    return head.scores.fault(D, len(head.classes))
