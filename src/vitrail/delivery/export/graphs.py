"""A torch network as the file of another runtime, in float32 and for any number of images."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from vitrail.backbones.converted import TRACED_BATCH, empty_pixels, trace
from vitrail.backbones.kept_models import import_openvino
from vitrail.core.errors import UsageError, WeightsError
from vitrail.delivery.export.layout import MODEL_FILE, OUTPUTS, PIXELS

if TYPE_CHECKING:
    from torch import nn

ExportFormat = Literal["onnx", "openvino"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino",)}
EXTRA = {"onnx": "export", "openvino": "openvino"}
METADATA = "vitrail"  # the graph's entry with the same facts as model.json


def require_format(export_format: str) -> ExportFormat:
    """The format of this name, if what writes and runs it is installed.

    Raises:
        UsageError: there is no such format, or a package is missing.
    """
    for known in FORMATS:
        if known == export_format:
            missing = [package for package in NEEDS[known] if find_spec(package) is None]
            if missing:
                raise UsageError(
                    f"Exporting to {known} needs {', '.join(missing)}: pip install 'vitrail[{EXTRA[known]}]'."
                )
            return known
    raise UsageError(f"There is no export format {export_format!r}: choose {' or '.join(FORMATS)}.")


def write_graph(
    export_format: ExportFormat, network: "nn.Module", *, crop: int, facts: Mapping[str, object], folder: Path
) -> None:
    """Write the model into a folder, with `facts` in the graph's metadata.

    Raises:
        WeightsError: an operation of this network cannot be written in the format.
        OSError: the file cannot be written.
    """
    try:
        with quiet():
            WRITERS[export_format](network, crop, json.dumps(facts, sort_keys=True), folder / MODEL_FILE[export_format])
    except OSError:
        raise
    except Exception as error:  # each library raises classes of its own, and the network is sound: it has run
        raise WeightsError(
            f"This network cannot be written as {export_format} ({type(error).__name__}: {str(error)[:200]}): choose "
            "another --format, or another backbone of the run."
        ) from error


def _write_onnx(network: "nn.Module", crop: int, facts: str, path: Path) -> None:
    import torch

    pixel_BHWC = torch.zeros((TRACED_BATCH, crop, crop, 3), dtype=torch.uint8)
    with torch.inference_mode():
        program = torch.onnx.export(
            network,
            (pixel_BHWC,),
            dynamo=True,
            dynamic_shapes={PIXELS: {0: torch.export.Dim("batch")}},
            input_names=[PIXELS],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    assert program is not None, "with dynamo=True it is returned"
    program.model.metadata_props[METADATA] = facts
    program.save(path)


def _write_openvino(network: "nn.Module", crop: int, facts: str, path: Path) -> None:
    openvino = import_openvino()
    model, owner = trace(network, empty_pixels(crop))
    model.reshape([-1, crop, crop, 3])
    model.inputs[0].get_tensor().set_names({PIXELS})
    for output, name in zip(model.outputs, OUTPUTS, strict=True):
        output.get_tensor().set_names({name})
    model.set_rt_info(facts, [METADATA])
    openvino.save_model(model, path, compress_to_fp16=False)
    del owner  # its weights are shared with the model


WRITERS: dict[ExportFormat, Callable[["nn.Module", int, str, Path], None]] = {
    "onnx": _write_onnx,
    "openvino": _write_openvino,
}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep down what torch's exporter warns of and logs about itself."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
