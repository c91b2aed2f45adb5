"""A torch network as the file of a runtime, for any number of images.

fp32    computed in float32
bf16    the file of fp32, computed in bfloat16 by OpenVINO
fp16    weights stored in float16: half the file; computed in float32, since few CPUs compute in float16
int8    the network quantised (`int8.py`), its head in float32
"""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np

from vitrail.backbones.converted import empty_pixels, trace
from vitrail.backbones.engines import Precision, choose_engine
from vitrail.backbones.openvino_package import import_openvino
from vitrail.core.errors import UsageError, VitrailError, WeightsError
from vitrail.delivery.export.layout import MODEL_FILE, OUTPUTS, PIXELS

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

ExportFormat = Literal["onnx", "openvino", "torch"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino",), "torch": ()}
EXTRA = {"onnx": "export", "openvino": "openvino"}
METADATA = "vitrail"  # the graph's entry with the same facts as model.json
REFUSED: dict[tuple[ExportFormat, Precision], str] = {
    ("onnx", "bf16"): "ONNX Runtime has no bf16 arithmetic on CPUs",
    ("torch", "bf16"): "a program of torch is exported in fp32 only",
    ("torch", "fp16"): "a program of torch is exported in fp32 only",
    ("torch", "int8"): "a program of torch is exported in fp32 only",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a model is written for."""

    format: ExportFormat
    precision: Precision = "fp32"


def list_targets(export_format: str, precision: str) -> tuple[Target, ...]:
    """The target of these names; for the precision "auto" the fastest on this machine, and then fp32.

    Raises:
        UsageError: as `require_target`.
    """
    exact = require_target(export_format, "fp32" if precision == "auto" else precision)
    if precision != "auto" or exact.format != "openvino":
        return (exact,)
    fastest = replace(exact, precision=choose_engine("openvino", "auto").precision)
    return tuple(dict.fromkeys((fastest, exact)))


def require_target(export_format: str, precision: str) -> Target:
    """The target of these names, if what writes and runs it is installed.

    Raises:
        UsageError: there is no such format or precision, they do not go together, a package is missing, or the
            processor lacks the arithmetic.
    """
    known_format = next((name for name in FORMATS if name == export_format), None)
    known_precision = next((name for name in PRECISIONS if name == precision), None)
    if known_format is None:
        raise UsageError(f"There is no export format {export_format!r}: choose {', '.join(FORMATS)}.")
    if known_precision is None:
        raise UsageError(f"There is no precision {precision!r}: choose auto, {', '.join(PRECISIONS)}.")
    target = Target(format=known_format, precision=known_precision)
    reason = REFUSED.get((target.format, target.precision))
    if reason is not None:
        raise UsageError(
            f"A model for {target.format} is not exported in {target.precision}, because {reason}: choose --format "
            "openvino, or --precision fp32."
        )
    missing = [package for package in NEEDS[target.format] if find_spec(package) is None]
    if missing:
        raise UsageError(
            f"Exporting to {target.format} needs {', '.join(missing)}: pip install 'vitrail[{EXTRA[target.format]}]'."
        )
    if target.precision == "bf16":
        choose_engine("openvino", target.precision)  # the processor must have the units
    if target.precision == "int8" and find_spec("nncf") is None:
        raise UsageError("int8 needs NNCF, which is not installed: pip install 'vitrail[int8]', or --precision fp32.")
    return target


def write_graph(target: Target, network: "nn.Module", *, crop: int, facts: Mapping[str, object], folder: Path) -> None:
    """Write the model into a folder, with `facts` in the graph's metadata; not for int8.

    Raises:
        WeightsError: an operation of this network cannot be written in the format.
        OSError: the file cannot be written.
    """
    with writing(target):
        WRITERS[target.format](
            network,
            empty_pixels(crop),
            json.dumps(facts, sort_keys=True),
            folder / MODEL_FILE[target.format],
            as_fp16=target.precision == "fp16",
        )


class Writer(Protocol):
    """Writes a network, traced with `pixel_BHWC`, to a path; its weights in float16 if `as_fp16`."""

    def __call__(self, network: "nn.Module", pixel_BHWC: "Tensor", facts: str, path: Path, *, as_fp16: bool) -> None:
        """Write it."""


def _write_onnx(network: "nn.Module", pixel_BHWC: "Tensor", facts: str, path: Path, *, as_fp16: bool) -> None:
    program = export_onnx(network, pixel_BHWC, PIXELS, OUTPUTS)
    program.model.metadata_props[METADATA] = facts
    if as_fp16:
        _store_in_fp16(program.model.graph)
    program.save(path)


def export_onnx(
    module: "nn.Module", example: "Tensor", name: str, outputs: Sequence[str], free: Sequence[str] = ("batch",)
) -> "torch.onnx.ONNXProgram":
    """The ONNX program of a module that takes one tensor like `example`, with its first dimensions `free` in size."""
    import torch

    with torch.inference_mode():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=({place: torch.export.Dim(size) for place, size in enumerate(free)},),
            input_names=[name],
            output_names=list(outputs),
            verbose=False,
        )
    assert program is not None, "with dynamo=True it is returned"
    return program


def _store_in_fp16(graph: Any) -> None:
    """Store the weights of an onnx_ir.Graph in float16, each cast to float32 before it is used.

    ONNX Runtime casts them once, when it loads the model. Vectors are small and stay, and so does what float16 cannot
    hold.
    """
    import onnx_ir

    casts = []
    for name, weight in list(graph.initializers.items()):
        array = weight.const_value.numpy()
        if array.dtype != np.float32 or array.ndim < 2:
            continue
        half = array.astype(np.float16)
        if not np.isfinite(half).all():
            continue
        stored = onnx_ir.Value(
            name=f"{name}_fp16",
            shape=weight.shape,
            type=onnx_ir.TensorType(onnx_ir.DataType.FLOAT16),
            const_value=onnx_ir.tensor(half, name=f"{name}_fp16"),
        )
        cast = onnx_ir.node("Cast", [stored], {"to": onnx_ir.DataType.FLOAT.value})
        cast.outputs[0].shape, cast.outputs[0].type = weight.shape, weight.type
        onnx_ir.convenience.replace_all_uses_with(weight, cast.outputs[0])
        del graph.initializers[name]
        graph.register_initializer(stored)
        casts.append(cast)
    graph.insert_before(graph[0], casts)


def _write_openvino(network: "nn.Module", pixel_BHWC: "Tensor", facts: str, path: Path, *, as_fp16: bool) -> None:
    model, owner = trace(network, pixel_BHWC)
    model.reshape([-1, *pixel_BHWC.shape[1:]])
    save_openvino(model, facts, path, as_fp16=as_fp16)
    del owner  # its weights are shared with the model


def save_openvino(model: Any, facts: str, path: Path, *, as_fp16: bool) -> None:
    """Write an openvino.Model with its facts, its input and outputs named."""
    openvino = import_openvino()
    model.inputs[0].get_tensor().set_names({PIXELS})
    for output, name in zip(model.outputs, OUTPUTS, strict=True):
        output.get_tensor().set_names({name})
    model.set_rt_info(facts, [METADATA])
    openvino.save_model(model, path, compress_to_fp16=as_fp16)


def _write_torch(network: "nn.Module", pixel_BHWC: "Tensor", facts: str, path: Path, *, as_fp16: bool) -> None:
    import torch

    with torch.no_grad():
        program = torch.export.export(network, (pixel_BHWC,), dynamic_shapes={PIXELS: {0: torch.export.Dim("batch")}})
    torch.export.save(program, path, extra_files={METADATA: facts})


WRITERS: dict[ExportFormat, Writer] = {"onnx": _write_onnx, "openvino": _write_openvino, "torch": _write_torch}


@contextmanager
def writing(target: Target) -> Iterator[None]:
    """Turn what the libraries raise inside the `with` into an error that names the format.

    What torch's exporter warns of and logs about itself is kept down.

    Raises:
        WeightsError: an operation of the network cannot be written in the format.
        OSError: as it was raised inside.
        VitrailError: the same.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (OSError, VitrailError):
        raise
    except Exception as error:  # each library raises classes of its own, and the network is sound: it has run
        raise WeightsError(
            f"This network cannot be written as {target.format} {target.precision} ({type(error).__name__}: "
            f"{str(error)[:200]}): choose another --format, or another backbone of the run."
        ) from error
    finally:
        logging.disable(before)
