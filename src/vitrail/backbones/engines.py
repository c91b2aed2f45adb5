"""Engines run a network on PyTorch or OpenVINO: 8-bit pixels in, features out. Chooses engine, device and precision.

Each engine normalises inside, so that a batch travels as bytes. Batches have one fixed size and are padded to it:
a row's feature depends neither on its neighbours nor on how many there are. With OpenVINO it does not depend on the
size of a batch either; with torch another size may move its last bits.

Letters: B images, H rows, W columns, C channels, D features.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from itertools import product
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.poolings import take_pooling
from vitrail.core.errors import UsageError

FORWARD_CODE_VERSION = 1  # bump with any change of a network or an engine that moves a feature: it is in every key
QUANTISING_VERSION = 2  # bump with any change of how a model is quantised: it is in every key of int8

EngineName = Literal["torch", "torch-compile", "openvino"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
Device = Literal["cpu", "cuda", "mps"]
ReadPixels = Callable[[], NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineRequest:
    """The engine and precision that a user asks for; "auto" is settled by a trial or by `choose_engine`."""

    engine: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineChoice:
    """Which engine runs a backbone, its release, on which device and in which precision: part of every feature's key.

    Only int8 fills the last three: `ranges` is the digest of the images that give the ranges of its activations,
    `quantiser` the release of the library that quantises, and `rest` the precision of the layers that stay unquantised.
    """

    name: EngineName
    precision: Precision
    device: Device = "cpu"
    version: str = ""
    ranges: str = ""
    quantiser: str = ""
    rest: Literal["fp32", "bf16", ""] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TriedEngine:
    """One engine and precision in a trial: how fast it ran, and the least cosine of its features to torch's in float32.

    `fault` says why it cannot be chosen, or is empty; what failed before it was timed has no figures.
    """

    name: EngineName
    precision: Precision
    device: Device
    images_per_s: float | None = None
    cosine: float | None = None
    fault: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineTrial:
    """What the engines of a machine made of one network (`backbones/engine_trial.py`); `tried` has the default first.

    `seconds` is how long the trial took, and `created` when it ended (UTC, ISO 8601).
    """

    processor: str
    threads: int
    created: str
    seconds: float
    tried: tuple[TriedEngine, ...]


class Engine(Protocol):
    """A network that is ready to run.

    `batch` is how many images it runs at once, and `streams` how many threads should call it at once.
    """

    batch: int
    streams: int

    def __call__(self, pixel_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """`feature_BD` of any number of images; may be called from any number of threads."""


class PoolingEngine:
    """An engine that gives one pooling of what another engine computes."""

    def __init__(self, engine: Engine, *, held: str, wanted: str) -> None:
        self.batch, self.streams = engine.batch, engine.streams
        self._engine, self._held, self._wanted = engine, held, wanted

    def __call__(self, pixel_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The features, in order."""
        return take_pooling(self._engine(pixel_BHWC), held=self._held, wanted=self._wanted)


def choose_engine(engine: str, precision: str) -> EngineChoice:
    """Replace "auto" by a rule, without measuring.

    Args:
        engine: "auto" or an EngineName. Auto is torch on a GPU, else OpenVINO if it is installed.
        precision: "auto" or a Precision. Auto is bf16 with OpenVINO on a processor that should be faster in it, half
            precision on a CUDA device, and fp32 elsewhere; never int8.

    Returns:
        The choice, without "auto".

    Raises:
        UsageError: the engine or precision is unknown or not installed, or they cannot be combined.
    """
    if engine not in ("auto", *get_args(EngineName)):
        raise UsageError(f"Unknown engine {engine!r}: choose auto, {', '.join(get_args(EngineName))}.")
    if precision not in ("auto", *get_args(Precision)):
        raise UsageError(f"Unknown precision {precision!r}: choose auto, {', '.join(get_args(Precision))}.")
    installed = find_spec("openvino") is not None
    if engine == "openvino" and not installed:
        raise UsageError("The engine openvino is not installed: pip install 'vitrail[openvino]', or --engine torch.")
    if engine == "openvino" or (engine == "auto" and installed and (precision == "int8" or _accelerator() == "cpu")):
        return _choose_openvino(precision)
    return _choose_torch("torch-compile" if engine == "torch-compile" else "torch", precision, _accelerator())


def list_engines(request: EngineRequest) -> tuple[EngineChoice, ...]:
    """Every engine and precision that "auto" may become on this machine: the default first, float32 before others.

    int8 is used only on request, and so is torch-compile, which compiles for minutes: then there is one choice.

    Raises:
        UsageError: as `choose_engine`.
    """
    default = choose_engine(request.engine, request.precision)
    if default.precision == "int8" or default.name == "torch-compile":
        return (default,)
    names = ("openvino", "torch") if request.engine == "auto" and default.device == "cpu" else (default.name,)
    precisions = ("fp32", "bf16", "fp16") if request.precision == "auto" else (request.precision,)
    choices = [default]
    for name, precision in product(names, precisions):
        with suppress(UsageError):  # not installed, or without units
            choice = choose_engine(name, precision)
            if choice.device != "cuda" or choice.precision != "bf16" or _half_of_cuda() == "bf16":
                choices.append(choice)
    return tuple(dict.fromkeys(choices))


def _choose_openvino(precision: str) -> EngineChoice:
    from vitrail.backbones.openvino_engine import openvino_capabilities

    able = openvino_capabilities()
    if precision == "fp16":
        raise UsageError("The engine openvino does not support fp16 on a CPU: choose --precision bf16, fp32 or auto.")
    if precision == "bf16" and "BF16" not in able:
        raise UsageError("This CPU has no bfloat16 units: choose --precision fp32 or auto.")
    if precision == "int8" and find_spec("nncf") is None:
        raise UsageError("int8 needs NNCF, which is not installed: pip install 'vitrail[int8]', or --precision auto.")
    fastest: Literal["bf16", "fp32"] = "bf16" if "BF16" in able and _gains_from_bf16(_processor()) else "fp32"
    chosen = fastest if precision == "auto" else _precision(precision)
    choice = EngineChoice(name="openvino", precision=chosen, version=version("openvino"))
    if chosen != "int8":
        return choice
    return replace(choice, quantiser=f"nncf {version('nncf')}, {QUANTISING_VERSION}", rest=fastest)


def _choose_torch(name: EngineName, precision: str, device: Device) -> EngineChoice:
    if precision == "int8":
        raise UsageError("int8 needs the engine openvino: choose --engine openvino, or another --precision.")
    if name == "torch-compile" and device != "cuda":
        raise UsageError(
            "The engine torch-compile needs a CUDA device, and this machine has none: choose --engine auto."
        )
    if device == "cpu" and precision == "fp16":
        raise UsageError("A CPU gains nothing from fp16: choose --precision bf16, fp32 or auto.")
    if device == "cpu" and precision == "bf16" and not _has_bf16_units():
        raise UsageError("This CPU has no bfloat16 units: choose --precision fp32 or auto.")
    auto = _half_of_cuda() if device == "cuda" else "fp32"
    chosen = auto if precision == "auto" else _precision(precision)
    return EngineChoice(name=name, precision=chosen, device=device, version=version("torch").partition("+")[0])


def _precision(precision: str) -> Precision:
    chosen: dict[str, Precision] = {name: name for name in get_args(Precision)}
    return chosen[precision]


def _accelerator() -> Device:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _half_of_cuda() -> Precision:
    import torch

    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def _has_bf16_units() -> bool:
    able = _processor()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))


def _gains_from_bf16(able: Mapping[str, Any]) -> bool:
    """Whether matrix products should be faster in bfloat16 than in float32, where nothing has been measured.

    AVX-512 on AMD's processors is twice as fast (benchmarks/forward_epyc_*). Intel's has the instruction and takes
    twice as long over it (benchmarks/forward_xeon_*), which shows where AMX is hidden, as in some virtual machines. AMX
    and ARM's units are taken to be made for it; nobody has measured them here.
    """
    return bool(
        able.get("amx_bf16")
        or able.get("bf16")
        or (able.get("avx512_bf16") and "intel" not in str(able.get("cpu_name", "")).lower())
    )


def _processor() -> Mapping[str, Any]:
    import torch

    # Releases of torch without this function tell nothing of the processor: they compute in float32.
    able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return able
