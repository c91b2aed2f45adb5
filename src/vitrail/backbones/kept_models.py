"""Converted OpenVINO models, kept in `engines/` of the cache.

engines/<key>/model.xml, model.bin    OpenVINO's own format, with the weights as they were computed
engines/<key>/digests.json            the sha256 of both, verified before they are used
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vitrail.backbones.openvino_package import import_openvino
from vitrail.core.bounded import is_there, read_json
from vitrail.core.hashing import fingerprint, sha256_file

FOLDER = "engines"
MODEL, WEIGHTS, DIGESTS = "model.xml", "model.bin", "digests.json"


def kept_model(facts: Mapping[str, object], make: Callable[[], tuple[Any, object]], *, cache: Path) -> Any:
    """The model of these facts, from the cache if it is there.

    `facts` is everything that the model depends on, for its key. `make` is called only if the cache does not have the
    model; it gives the model and what its weights belong to. If the cache cannot be written, nothing is stored.

    The model (an openvino.Model) is always read from a file, so that the first run computes with the model of later
    ones.
    """
    openvino = import_openvino()
    folder = cache / FOLDER / fingerprint({**facts, "openvino": openvino.__version__})[:32]
    core = openvino.Core()
    if is_whole(folder):
        with suppress(OSError):  # a read-only cache does not remember when it was used
            os.utime(folder / DIGESTS)
        return core.read_model(folder / MODEL)
    model, owner = make()
    try:
        _keep(model, folder)
    except OSError:
        with tempfile.TemporaryDirectory(prefix="vitrail-") as temporary:
            _write(model, Path(temporary))
            return core.read_model(Path(temporary) / MODEL)
    finally:
        del owner
    return core.read_model(folder / MODEL)


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a model whose bytes are those that were written."""
    try:
        digests = read_json(folder / DIGESTS)
        return bool(digests == _digests(folder))
    except (OSError, ValueError):
        return False


def _digests(folder: Path) -> dict[str, str]:
    return {name: sha256_file(folder / name) for name in (MODEL, WEIGHTS)}


def _keep(model: Any, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        _write(model, beside)
        if is_there(folder) and not is_whole(folder):
            shutil.rmtree(folder)  # damaged: made anew
        try:
            beside.rename(folder)
        except OSError:
            if not is_whole(folder):  # unless another process was quicker
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(model: Any, folder: Path) -> None:
    openvino = import_openvino()
    try:
        openvino.save_model(model, folder / MODEL, compress_to_fp16=False)
    except RuntimeError as error:  # how openvino says that it cannot write
        raise OSError(str(error)) from error
    (folder / DIGESTS).write_text(json.dumps(_digests(folder), indent=1) + "\n", encoding="utf-8")
    for name in (MODEL, WEIGHTS, DIGESTS):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())
