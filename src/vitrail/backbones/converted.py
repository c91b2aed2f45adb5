"""A torch network as an OpenVINO model, converted once and kept in `engines/` of the cache.

    engines/<key>/model.xml, model.bin    OpenVINO's own format, weights in float32, for one batch size
    engines/<key>/digests.json            the sha256 of both, verified before they are used

The package openvino reports its use over the network as soon as it is imported (openvino/tools/ovc/__init__.py), and
`openvino.convert_model` does so again. Here it is imported without its telemetry, and its front end called directly.
"""

import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vitrail.backbones.cards import Preprocessing
from vitrail.core.hashing import fingerprint, sha256_file

if TYPE_CHECKING:
    from torch import nn

TELEMETRY = "openvino_telemetry"
MODEL, WEIGHTS, DIGESTS = "model.xml", "model.bin", "digests.json"


def import_openvino() -> ModuleType:
    """OpenVINO, made to believe that its telemetry is not installed, which it takes well.

    Where somebody has imported it before, that is as they chose; what we call of it opens no connection either way.
    """
    if "openvino" not in sys.modules:
        theirs = sys.modules.pop(TELEMETRY, None)
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # makes the import of that name fail
        try:
            import openvino
        finally:
            del sys.modules[TELEMETRY]
            if theirs is not None:
                sys.modules[TELEMETRY] = theirs
    import openvino

    return openvino  # type: ignore[no-any-return]


def convert(
    load_net: "Callable[[], nn.Module]",
    preprocessing: Preprocessing,
    *,
    batch: int,
    facts: Mapping[str, object],
    cache: Path,
) -> Any:
    """The OpenVINO model of a network: 8-bit `pixel_BHWC` in, `feature_BD` out.

    Args:
        load_net: gives the network with its weights, in evaluation mode; called only where no model is kept yet.
        preprocessing: pixels are normalised inside the model.
        batch: the one batch size that the model takes.
        facts: everything of the network that the model depends on, for its key.
        cache: the cache folder; where it cannot be written, nothing is kept.

    Returns:
        An openvino.Model, always read back from a file, so that the first run computes with the model of later ones.
    """
    import torch

    openvino = import_openvino()
    versions = {"openvino": openvino.__version__, "torch": torch.__version__}
    folder = cache / "engines" / fingerprint({**facts, **versions, "batch": batch})[:32]
    core = openvino.Core()
    if _is_whole(folder):
        return core.read_model(folder / MODEL)
    # A module's weights are shared with what is converted from it, so it stays alive until the model is written.
    module = normalising(load_net(), preprocessing)
    model, decoder = _trace(module, batch, preprocessing.crop)
    try:
        _keep(model, folder)
    except OSError:
        with tempfile.TemporaryDirectory(prefix="vitrail-") as passing:
            _write(model, Path(passing))
            return core.read_model(Path(passing) / MODEL)
    finally:
        del decoder
    return core.read_model(folder / MODEL)


def normalising(net: "nn.Module", preprocessing: Preprocessing) -> "nn.Module":
    """The network with its normalisation in front: 8-bit `pixel_BHWC` in, `feature_BD` out.

    Args:
        net: a network with `forward_features`.
        preprocessing: its mean and standard deviation are used.

    Returns:
        A module in evaluation mode.
    """
    from torch import Tensor, nn

    from vitrail.backbones.preprocess import normalise

    class Normalising(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, pixel_BHWC: Tensor) -> Tensor:
            feature_BD: Tensor = net.forward_features(normalise(pixel_BHWC, preprocessing))  # type: ignore[operator]
            return feature_BD

    return Normalising().eval()


def _trace(module: "nn.Module", batch: int, crop: int) -> tuple[Any, Any]:
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    pixel_BHWC = torch.zeros((batch, crop, crop, 3), dtype=torch.uint8)
    with torch.inference_mode(), warnings.catch_warnings():
        # torch.jit.trace is deprecated, but what torch.export makes is converted only by way of decompositions that
        # log errors of their own. Tracing also warns of sizes that become constants: here all sizes are constant.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, pixel_BHWC, check_trace=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced)
        front_end = FrontEndManager().load_by_framework("pytorch")
        model = front_end.convert(front_end.load(decoder))
    model.reshape([batch, crop, crop, 3])
    return model, decoder


def _is_whole(folder: Path) -> bool:
    try:
        digests = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
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
        if folder.exists() and not _is_whole(folder):
            shutil.rmtree(folder)  # damaged: made anew
        try:
            beside.rename(folder)
        except OSError:
            if not _is_whole(folder):  # unless another process was quicker
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
