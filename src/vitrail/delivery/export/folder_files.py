"""The model folder: its files, its receipt, and how it gets its name.

    model.onnx, model.pt2, or model.xml and model.bin    pixels in, probabilities and distances out
    model.json                                classes, thresholds, weights, run
    preprocess.py, classify.py                from files to pixels, and an example; requirements.txt has their packages
    Dockerfile, requirements-serve.txt        a container that serves the folder, and what it installs beside
    README.md                                 a model card
    certificate.json, certificate.html        what it answered on the test images, and the same for people
    receipt.json                              sha256 of every other file

It is filled under a temporary name beside its own, and renamed once its certificate has been passed.
"""

import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from vitrail.core.bounded import is_folder, is_there
from vitrail.core.digest_json import add_digest
from vitrail.core.errors import RunError, UsageError
from vitrail.core.hashing import sha256_file
from vitrail.core.whole_files import TEMPORARY
from vitrail.delivery.export.graphs import ExportFormat, Target
from vitrail.delivery.export.layout import (
    FACTS,
    MODEL_VERSION,
    OUTPUTS,
    PIXELS,
    RECEIPT,
    RECEIPT_VERSION,
    RUNTIME,
)
from vitrail.delivery.export.network import Classifier
from vitrail.delivery.export.pixels import write_preprocess
from vitrail.heads.refusal import RULES
from vitrail.heads.scores import Neighbours

TEMPLATES = files("vitrail.delivery.export") / "folder"
NO_THRESHOLD = 2.0  # stands for infinity, which JSON lacks: no score of a class is above 1


def describe_model(classifier: Classifier, run_digest: str, target: Target, *, max_pixels: int) -> dict[str, Any]:
    """The facts of model.json, which are also in the metadata of the graph."""
    card, refusal = classifier.backbone.card, classifier.refusal
    return {
        "model_version": MODEL_VERSION,
        "vitrail_version": version("vitrail"),
        "run": run_digest,
        "backbone": classifier.result.name,
        "format": target.format,
        "precision": target.precision,
        "input": {"name": PIXELS, "shape": ["batch", card.preprocessing.crop, card.preprocessing.crop, 3]},
        "outputs": list(OUTPUTS),
        "classes": list(classifier.head.classes),
        "thresholds": {
            "sets": {
                rule: np.minimum(threshold_C, NO_THRESHOLD).tolist()
                for rule, threshold_C in zip(RULES, refusal.threshold_RC, strict=True)
            },
            "alpha": refusal.alpha,
            "confidence": refusal.confidence,
            "precision": refusal.precision,
            "distance": refusal.distance,
            "set_on": refusal.set_on,
        },
        "head": {
            "kind": classifier.head.kind,
            "scaling": classifier.head.scaling.kind,
            "temperature": classifier.head.temperature,
        },
        "pooling": classifier.pooling,
        "preprocessing": asdict(card.preprocessing),
        "max_pixels": max_pixels,
        "weights": {
            "sha256": classifier.backbone.digest,
            "licence": card.licence,
            "commercial": card.commercial,
            "repository": card.repository,
            "revision": card.revision,
            "pretraining": list(card.pretraining),
        },
        "training_images": _say_stored(classifier),
    }


def _say_stored(classifier: Classifier) -> str:
    """How many training images the model holds features of."""
    stored = f"The model holds features of {len(classifier.refusal.bank_BD):,} training images, with which new images "
    stored += "are compared."
    if isinstance(classifier.head.scores, Neighbours):
        stored += f" Its nearest-neighbours head holds features of {len(classifier.head.scores.row_MD):,} of them."
    return stored


def write_files(folder: Path, classifier: Classifier, facts: dict[str, Any]) -> None:
    """Write everything of a folder but the model, its certificate and its receipt."""
    export_format: ExportFormat = facts["format"]
    example = "".join(
        (TEMPLATES / f"classify_{part}.py.txt").read_text(encoding="utf-8") for part in (export_format, "main")
    )
    needed = ("numpy", "pillow", RUNTIME[export_format])
    texts = {
        FACTS: json.dumps(facts, indent=2) + "\n",
        "preprocess.py": write_preprocess(classifier.backbone.card.preprocessing, max_pixels=facts["max_pixels"]),
        "classify.py": example,
        "requirements.txt": "".join(f"{name}=={version(name)}\n" for name in needed),
    }
    if export_format != "torch":  # which the service does not run
        texts["Dockerfile"] = make_dockerfile()
        texts["requirements-serve.txt"] = (TEMPLATES / "requirements-serve.txt").read_text(encoding="utf-8")
    for name, text in texts.items():
        write_text(folder / name, text)


def make_dockerfile() -> str:
    """The recipe of a container that serves the folder, with this release of Python, for which the packages exist."""
    text = (TEMPLATES / "Dockerfile.txt").read_text(encoding="utf-8")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return text.replace("{python}", python).replace("{vitrail}", version("vitrail"))


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8; a name that is no Unicode becomes an escape."""
    path.write_bytes(text.encode("utf-8", errors="backslashreplace"))


def digest_model(folder: Path, file: str) -> dict[str, str]:
    """The sha256 of each file of a model: the one that is opened, and those that it reads its weights from."""
    names = {file, f"{file}.data", Path(file).with_suffix(".bin").name}
    return {name: sha256_file(folder / name) for name in sorted(names) if is_there(folder / name)}


def count_bytes(folder: Path, names: Iterable[str]) -> int:
    """The size of files of a folder together."""
    return sum((folder / name).stat().st_size for name in names)


def write_receipt(folder: Path, run_digest: str) -> None:
    """Write receipt.json: the run, the sha256 of every other file, and the digest of both, which names the folder."""
    facts = {
        "receipt_version": RECEIPT_VERSION,
        "run": run_digest,
        "files": {path.name: sha256_file(path) for path in sorted(folder.iterdir()) if path.is_file()},
    }
    write_text(folder / RECEIPT, json.dumps(add_digest(facts), indent=2, sort_keys=True) + "\n")


def require_new_folder(out: Path) -> None:
    """Check before any work that a folder can be made.

    Raises:
        UsageError: there is something already, or the path does not end in a name.
        RunError: it cannot be written.
    """
    if out.name in ("", ".."):
        raise UsageError(f"{out} does not end in the name of a folder: give another one with --out.")
    nearest = next(path for path in out.absolute().parents if is_there(path))
    if not (is_folder(nearest) and os.access(nearest, os.W_OK | os.X_OK)):
        raise RunError(f"The model folder {out} cannot be made in {nearest}. Choose another place with --out.")
    if is_there(out) and not (is_folder(out) and not any(out.iterdir())):
        raise UsageError(f"{out} is already there: choose another folder with --out, or delete it.")


@contextmanager
def filled_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out`, which gets that name when the block ends; after an error nothing is left.

    Raises:
        RunError: the folder cannot be written.
    """
    beside = out.with_name(f".{out.name}.{uuid.uuid4().hex}{TEMPORARY}")
    made = [path for path in out.parents if not is_there(path)]
    try:
        beside.mkdir(parents=True)
        yield beside
        for cache in beside.glob("__pycache__"):
            shutil.rmtree(cache)
        for path in beside.iterdir():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        if is_folder(out):
            out.rmdir()  # it is empty
        beside.rename(out)
    except OSError as error:
        raise RunError(
            f"The model folder {out} could not be written ({error.strerror or error}). Free some disk space or choose "
            "another place with --out, then run the same command again."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        with suppress(OSError):  # the first that is not empty ends it: after a success, the folder that holds `out`
            for path in made:
                path.rmdir()
