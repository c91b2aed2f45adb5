"""The runtimes that answer for a model folder, without torch: ONNX Runtime and OpenVINO, on the CPU.

A session is called from any number of threads at once. ONNX Runtime allows that; of OpenVINO each call takes an infer
request that no other call has, and waits while none is free.

Letters: B images, H rows, W columns, C classes.
"""

import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.openvino_package import import_openvino, openvino_capabilities
from vitrail.core.errors import UsageError, WeightsError
from vitrail.core.reasons import say_reason
from vitrail.delivery.export.layout import OUTPUTS, PIXELS

# How OpenVINO is told in which precision it may compute. Weights in float16 are computed with in float32, and what is
# quantised is so in the file.
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f32", "int8": "f32"}
ONNX_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}
FATAL = 4  # the one level of ONNX Runtime's log that is not printed for a model that it cannot read

Shape = tuple[int | None, ...]  # None for any size
Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]


class Session(Protocol):
    """A model that is ready to run; `streams` is how many threads should call it at once."""

    streams: int

    def __call__(self, pixel_BHWC: NDArray[np.uint8]) -> Outputs:
        """`probability_BC` and `distance_B`; may be called from any number of threads."""


class OnnxSession:
    """ONNX Runtime, without any operator that is not its own."""

    def __init__(self, file: Path, precision: str, crop: int, classes: int, *, threads: int, streams: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, threads // streams)
        # Threads that spin while they wait take the cores from those that decode.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = FATAL
        self.streams = streams
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        _require_nodes("input", self._session.get_inputs(), {PIXELS: (None, crop, crop, 3)}, ONNX_TYPES["uint8"])
        shapes: dict[str, Shape] = dict(zip(OUTPUTS, ((None, classes), (None,)), strict=True))
        _require_nodes("output", self._session.get_outputs(), shapes, ONNX_TYPES["float32"])

    def __call__(self, pixel_BHWC: NDArray[np.uint8]) -> Outputs:
        """The answers to a batch."""
        probability_BC, distance_B = self._session.run(list(OUTPUTS), {PIXELS: pixel_BHWC})
        return probability_BC, distance_B


class OpenVinoSession:
    """OpenVINO, with as many infer requests as streams."""

    def __init__(self, file: Path, precision: str, crop: int, classes: int, *, threads: int, streams: int) -> None:
        if precision == "bf16" and "BF16" not in openvino_capabilities():
            raise WeightsError("it was checked in bf16, which this processor cannot compute in")
        core = import_openvino().Core()
        core.set_property({"ENABLE_MMAP": False})  # a file that is changed later would change the model
        settings = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],  # some processors default to bf16
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            "ENABLE_HYPER_THREADING": True,
            "ENABLE_CPU_PINNING": False,  # a pinned stream waits for a decoding thread on its core
        }
        self.streams = streams
        model = core.read_model(file, file.with_suffix(".bin"))
        _require_ports("input", model.inputs, {PIXELS: (None, crop, crop, 3)}, "u8")
        shapes: dict[str, Shape] = dict(zip(OUTPUTS, ((None, classes), (None,)), strict=True))
        _require_ports("output", model.outputs, shapes, "f32")
        compiled = core.compile_model(model, "CPU", settings)
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())

    def __call__(self, pixel_BHWC: NDArray[np.uint8]) -> Outputs:
        """The answers to a batch."""
        request = self._requests.get()
        try:
            request.infer({PIXELS: pixel_BHWC})
            probability_BC, distance_B = (request.get_tensor(name).data.copy() for name in OUTPUTS)
        finally:
            self._requests.put(request)
        return probability_BC, distance_B


SESSIONS: dict[str, Callable[..., Session]] = {"onnx": OnnxSession, "openvino": OpenVinoSession}


def start_session(
    file: Path, export_format: str, precision: str, *, crop: int, classes: int, threads: int, streams: int
) -> Session:
    """Load a model and check that it takes and gives what its folder says.

    Raises:
        UsageError: the runtime is not installed, or cannot compute in the precision.
        WeightsError: the runtime cannot load the model, or its inputs or outputs are not those of the folder.
    """
    if precision not in HINTS:
        raise UsageError(f"The model {file} computes in {precision}, which this version of Vitrail does not know.")
    try:
        return SESSIONS[export_format](file, precision, crop, classes, threads=threads, streams=streams)
    except ImportError as error:
        raise UsageError(
            f"The model {file} needs {error.name or export_format}, which is not installed: pip install {error.name}."
        ) from error
    except WeightsError as error:
        raise WeightsError(f"The model {file} cannot be used: {error}. Export the run again.") from error
    except Exception as error:  # each runtime raises classes of its own for damage, unknown operators and memory
        raise WeightsError(
            f"The model {file} cannot be loaded ({say_reason(error)}). Use an intact copy, or export the run again."
        ) from error


def _require_nodes(what: str, nodes: Any, shapes: dict[str, Shape], type_name: str) -> None:
    found = {
        node.name: (node.type, tuple(size if isinstance(size, int) else None for size in node.shape)) for node in nodes
    }
    _require_same(what, found, {name: (type_name, shape) for name, shape in shapes.items()})


def _require_ports(what: str, ports: Any, shapes: dict[str, Shape], type_name: str) -> None:
    found = {
        port.get_any_name(): (
            port.element_type.get_type_name(),
            tuple(size.get_length() if size.is_static else None for size in port.partial_shape),
        )
        for port in ports
    }
    _require_same(what, found, {name: (type_name, shape) for name, shape in shapes.items()})


def _require_same(what: str, found: dict[str, tuple[str, Shape]], wanted: dict[str, tuple[str, Shape]]) -> None:
    if found != wanted:
        raise WeightsError(f"its {what}s are {found} and not {wanted}")
