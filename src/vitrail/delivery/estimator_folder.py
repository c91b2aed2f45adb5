"""The folder of a saved `FrozenClassifier`: its head in safetensors, everything else in JSON, and nothing that runs.

    estimator.json            settings, classes, the sha256 of the head, and the sha256 of all this
    head-<digest>.safetensors the head, named after its digest; it says on which features it was fitted

The JSON is written last and names the head, so a folder that is written again holds the old estimator or the new.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from vitrail.backbones import Backbone, BackboneSpec, open_backbone
from vitrail.backbones.engines import choose_engine
from vitrail.backbones.remembered import find_remembered, is_trusted_name
from vitrail.core.digest_files import NAME_DIGITS, write_digest_file
from vitrail.core.digest_json import add_digest, read_with_digest
from vitrail.core.errors import RunError, UsageError, WeightsError
from vitrail.core.hashing import sha256_bytes, sha256_file
from vitrail.core.progress import Progress
from vitrail.core.same_bytes import ChangedFileError, same_bytes
from vitrail.core.whole_files import put_in_place
from vitrail.heads import Head, head_to_bytes, load_head

FACTS = "estimator.json"
HEAD, SUFFIX = "head", ".safetensors"
FORMAT_VERSION: Literal[1] = 1
ORIGIN = ("backbone", "weights_sha256", "engine", "precision", "pooling")  # the features that the head is of
TEXT = "str"  # as long as they need to be
NUMBERS = "iufb"  # kinds of numpy's types that JSON holds exactly

Label = bool | int | float | str
Origin = dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The arguments of an estimator that change an answer; the backbone is in the head."""

    head: str
    strength: float | int | None
    scaling: str | None
    pooling: str | None
    engine: str
    precision: str
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Facts:
    """What estimator.json holds; `label_type` is numpy's name of the type of the classes, or TEXT."""

    format_version: Literal[1]
    settings: Settings
    classes: list[Label]
    label_type: str
    head_sha256: str


_FACTS = TypeAdapter(_Facts)


def write_estimator(folder: Path, settings: Settings, classes: NDArray[np.generic], head: Head, origin: Origin) -> None:
    """Write a fitted estimator into a folder, which is made if it is not there; one that is there is replaced.

    Raises:
        UsageError: a label is neither a text nor a number.
        RunError: the folder cannot be written.
    """
    content = head_to_bytes(head, origin)
    facts = _Facts(
        format_version=FORMAT_VERSION,
        settings=settings,
        classes=_require_plain(classes.tolist()),
        label_type=TEXT if classes.dtype.kind == "U" else classes.dtype.name,
        head_sha256=sha256_bytes(content),
    )
    text = json.dumps(add_digest(asdict(facts)), indent=2, sort_keys=True) + "\n"
    try:
        head_file = write_digest_file(folder, content, SUFFIX, name=HEAD)
        put_in_place(folder / FACTS, lambda path: path.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise RunError(
            f"The classifier could not be written to {folder} ({error.strerror or error}): free some disk space, or "
            "choose another folder."
        ) from error
    for other in folder.glob(f"{HEAD}-{'[0-9a-f]' * NAME_DIGITS}{SUFFIX}"):
        if other != head_file:  # of the estimator that was here
            with suppress(OSError):
                other.unlink()


def read_estimator(folder: Path) -> tuple[Settings, NDArray[np.generic], Head, Origin]:
    """Read what `write_estimator` wrote.

    Returns:
        Its settings, the classes in the type of their labels, the head, and on which features it was fitted.

    Raises:
        RunError: there is no estimator in the folder, or a file is damaged or of another version.
        WeightsError: the head does not fit together.
    """
    stored = read_with_digest(folder / FACTS)
    if stored is None:
        raise RunError(
            f"There is no intact {FACTS} in {folder}: give a folder that FrozenClassifier.save wrote, or fit and save "
            "again."
        )
    try:
        facts = _FACTS.validate_python(stored)
        class_C = _to_array(facts.classes, facts.label_type)
    except (ValidationError, TypeError, ValueError, OverflowError) as error:
        raise RunError(f"{folder / FACTS} was written by another version of Vitrail: fit and save again.") from error
    path = folder / f"{HEAD}-{facts.head_sha256[:NAME_DIGITS]}{SUFFIX}"
    try:
        with same_bytes([path], partial(sha256_file, path), facts.head_sha256):
            head, origin = load_head(path)
    except ChangedFileError as error:
        raise RunError(f"{path} is missing, or is not what was saved: use an intact copy, or fit again.") from error
    if missing := [name for name in ORIGIN if not origin.get(name)]:
        raise RunError(f"The head {path} does not say on which features it was fitted ({', '.join(missing)} missing).")
    if list(head.classes) != [str(label) for label in class_C.tolist()]:
        raise RunError(f"The classes in {folder / FACTS} are not those of its head: use an intact copy, or fit again.")
    return facts.settings, class_C, head, origin


def find_weights(origin: Mapping[str, str], *, offline: bool, progress: Progress) -> BackboneSpec:
    """Where the weights of a stored estimator are; its folder may be a stranger's, so its name alone downloads nothing.

    Raises:
        WeightsError: they would have to be downloaded.
    """
    name, digest = origin["backbone"], origin["weights_sha256"]
    remembered = find_remembered(digest, progress)
    if remembered.path is None and not offline and not is_trusted_name(name, digest):
        raise WeightsError(
            f"The weights of {name} with sha256 {digest[:12]}... are not here ({remembered.fault}), and so far only "
            f'the folder says to download them: give backbone="{name}" to allow it, or backbone="{name}=FILE".'
        )
    return BackboneSpec(name=name, file=remembered.path)


def open_again(spec: BackboneSpec, origin: Mapping[str, str], *, offline: bool, progress: Progress) -> Backbone:
    """The backbone of a stored estimator, with its engine if it is here; WeightsError if its weights are others."""
    engine, precision = origin["engine"], origin["precision"]
    try:
        choose_engine(engine, precision)
    except UsageError:
        text = f"This machine does not have {engine} {precision}, which was fitted with: probabilities may differ."
        warnings.warn(text, stacklevel=3)
        engine = precision = "auto"
    opened = open_backbone(spec, engine=engine, precision=precision, offline=offline, progress=progress)
    if opened.digest != origin["weights_sha256"]:
        raise WeightsError(
            f"The head was fitted on features of weights with sha256 {origin['weights_sha256'][:12]}..., but "
            f'{spec.file or spec.name} has {opened.digest[:12]}...: give backbone="{spec.name}=FILE" with those.'
        )
    return opened


def _require_plain(labels: list[object]) -> list[Label]:
    strange = [label for label in labels if not isinstance(label, Label)]
    if strange:
        raise UsageError(
            f"Labels of type {type(strange[0]).__name__} cannot be stored: fit with texts or numbers as labels."
        )
    return labels  # type: ignore[return-value]  # checked above


def _to_array(labels: Sequence[Label], label_type: str) -> NDArray[np.generic]:
    if label_type == TEXT:
        return np.array([str(label) for label in labels])
    if label_type == "object":
        return np.array(labels, object)
    dtype = np.dtype(label_type)
    if dtype.kind not in NUMBERS:
        raise ValueError(label_type)
    return np.array(labels, dtype)
