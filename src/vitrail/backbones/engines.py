"""What runs a network: 8-bit pixels in, features out, on PyTorch or OpenVINO.

Each engine normalises inside, so that a batch travels as bytes. Batches have one fixed size and are padded to it:
a row's feature depends neither on its neighbours nor on how many there are.

Letters: B images, H rows, W columns, C channels, D features.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.cards import Card
from vitrail.backbones.converted import convert, import_openvino, normalising
from vitrail.core.errors import UsageError
from vitrail.core.machine import cache_folder

if TYPE_CHECKING:
    from torch import nn

FORWARD_CODE_VERSION = 1  # bump with any change of a network or an engine that moves a feature: it is in every key

# OpenVINO, images a batch. With a stream a core and one thread a stream, nothing is shared out within a batch, so small
# ones lose nothing (benchmarks/forward.md). Below a billion multiply-adds an image, what a call costs itself is felt.
# Features are the same at every size.
OPENVINO_BATCH = 4
OPENVINO_SMALL_BATCH = 16
SMALL_GMACS = 1.0

TORCH_BATCH = {"cpu": 16, "cuda": 128}

EngineName = Literal["torch", "openvino"]
Precision = Literal["fp32", "bf16"]
Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineChoice:
    """Which engine runs a backbone, its release, where, and in which arithmetic: part of every feature's key."""

    name: EngineName
    precision: Precision
    device: Device = "cpu"
    version: str = ""


class Engine(Protocol):
    """A network that is ready to run.

    `batch` is how many images it runs at once, and `streams` from how many threads it gains to be called together.
    """

    batch: int
    streams: int

    def __call__(self, pixel_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """`feature_BD` of any number of images; may be called from any number of threads."""


def choose_engine(engine: str, precision: str) -> EngineChoice:
    """Settle "auto".

    Args:
        engine: "auto", "torch" or "openvino". Auto is torch on a GPU, else OpenVINO where it is installed.
        precision: "auto", "fp32" or "bf16". Auto is bf16 on a GPU, and with OpenVINO on a processor that has it.

    Returns:
        What will run.

    Raises:
        UsageError: there is no such engine or precision, it is not installed, or they do not go together.
    """
    if engine not in ("auto", "torch", "openvino"):
        raise UsageError(f"There is no engine {engine!r}: choose auto, torch or openvino.")
    if precision not in ("auto", "fp32", "bf16"):
        raise UsageError(f"There is no precision {precision!r}: choose auto, fp32 or bf16.")
    installed = find_spec("openvino") is not None
    if engine == "openvino" and not installed:
        raise UsageError("The engine openvino is not installed: pip install 'vitrail[openvino]', or --engine torch.")
    cuda = engine != "openvino" and _has_cuda()
    if engine == "openvino" or (engine == "auto" and installed and not cuda):
        return _choose_openvino(precision)
    if precision == "bf16" and not cuda:
        raise UsageError("The engine torch runs in fp32 on a processor: choose --precision fp32 or auto.")
    chosen: Precision = "bf16" if cuda and precision != "fp32" else "fp32"
    release = version("torch").partition("+")[0]
    return EngineChoice(name="torch", precision=chosen, device="cuda" if cuda else "cpu", version=release)


def start_engine(
    choice: EngineChoice, load_net: "Callable[[], nn.Module]", card: Card, *, digest: str, threads: int
) -> Engine:
    """Make a network ready to run.

    Args:
        choice: as `choose_engine` settled it.
        load_net: gives the torch network with its weights; not called where OpenVINO's model of it is kept.
        card: for the network's size, its pooling and its preprocessing.
        digest: of the weights.
        threads: how many cores it may use.

    Returns:
        The engine.
    """
    if choice.name == "torch":
        return TorchEngine(load_net(), card, choice, threads)
    batch = OPENVINO_BATCH if card.gmacs >= SMALL_GMACS else OPENVINO_SMALL_BATCH
    prepared = card.preprocessing
    facts = {
        "weights": digest,
        "net": card.network_facts(),
        "pixels": (prepared.crop, prepared.channels, prepared.divide_by, prepared.mean, prepared.std),
        "code": FORWARD_CODE_VERSION,
    }
    model = convert(load_net, prepared, batch=batch, facts=facts, cache=cache_folder())
    return OpenVinoEngine(model, choice, batch, threads)


class TorchEngine:
    """PyTorch, eager: float32 on a processor, with all threads on one batch; bf16 autocast or float32 on a GPU."""

    streams = 1

    def __init__(self, net: "nn.Module", card: Card, choice: EngineChoice, threads: int) -> None:
        self.batch = TORCH_BATCH[choice.device]
        self._choice, self._threads = choice, threads
        self._lock = threading.Lock()
        self._run = normalising(net.to(choice.device), card.preprocessing)

    def __call__(self, pixel_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The features, in order."""
        import torch

        with self._lock, torch.inference_mode(), _torch_threads(self._threads), _arithmetic(self._choice):
            parts = [
                self._run(torch.from_numpy(part_BHWC).to(self._choice.device)).float().cpu().numpy()[:count]
                for part_BHWC, count in _in_batches(pixel_BHWC, self.batch)
            ]
        return np.concatenate(parts)


class OpenVinoEngine:
    """OpenVINO on the processor: a stream a core and a thread a stream, each running a batch of its own.

    Streams never wait for one another, which leaves no core idle while images are decoded beside them, and the number
    of threads cannot change a sum. Normalising inside the bf16 graph costs no quality: OpenVINO keeps the arithmetic
    on 8-bit inputs in float32 and rounds its outcome, as it would round an image that came normalised.
    """

    def __init__(self, model: Any, choice: EngineChoice, batch: int, threads: int) -> None:
        self.batch, self.streams = batch, threads
        compiled = (
            import_openvino()
            .Core()
            .compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[choice.precision],
                    "INFERENCE_NUM_THREADS": threads,
                    "NUM_STREAMS": threads,
                    "ENABLE_HYPER_THREADING": True,  # `threads` is what this process may use: nothing is left out of it
                    "ENABLE_CPU_PINNING": False,  # a pinned stream waits for a decoding thread on its core
                },
            )
        )
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(threads):
            self._requests.put(compiled.create_infer_request())

    def __call__(self, pixel_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The features, in order; more images than a batch run on as many streams as are free."""
        parts: list[NDArray[np.float32]] = []
        running: deque[tuple[Any, int]] = deque()
        try:
            for part_BHWC, count in _in_batches(pixel_BHWC, self.batch):
                request = self._free_request(running, parts)
                running.append((request, count))
                request.start_async([part_BHWC])
            for request, count in running:
                parts.append(_collect(request, count))
        finally:
            for request, _ in running:
                self._requests.put(request)
        return np.concatenate(parts)

    def _free_request(self, running: deque[tuple[Any, int]], parts: list[NDArray[np.float32]]) -> Any:
        if not running:
            return self._requests.get()
        try:
            return self._requests.get_nowait()
        except queue.Empty:  # who holds one must not wait for another: two callers would wait for each other
            parts.append(_collect(*running[0]))
            return running.popleft()[0]


def _collect(request: Any, count: int) -> NDArray[np.float32]:
    request.wait()
    feature_BD: NDArray[np.float32] = request.get_output_tensor().data[:count].copy()  # the next batch overwrites it
    return feature_BD


def _choose_openvino(precision: str) -> EngineChoice:
    has_bf16 = "BF16" in _openvino_capabilities()
    if precision == "bf16" and not has_bf16:
        raise UsageError("This processor has no bfloat16 units: choose --precision fp32 or auto.")
    chosen: Precision = "bf16" if precision != "fp32" and has_bf16 else "fp32"
    return EngineChoice(name="openvino", precision=chosen, version=version("openvino"))


@cache
def _openvino_capabilities() -> tuple[str, ...]:
    return tuple(import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _in_batches(pixel_BHWC: NDArray[np.uint8], batch: int) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Parts of exactly `batch` images, the last one padded, each with how many of its images are real."""
    for start in range(0, len(pixel_BHWC), batch):
        part_BHWC = np.ascontiguousarray(pixel_BHWC[start : start + batch])
        count = len(part_BHWC)
        if count < batch:
            padding_BHWC = np.zeros((batch - count, *part_BHWC.shape[1:]), np.uint8)
            part_BHWC = np.concatenate([part_BHWC, padding_BHWC])
        yield part_BHWC, count


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _arithmetic(choice: EngineChoice) -> AbstractContextManager[Any]:
    import torch

    if choice.device == "cpu":
        return nullcontext()
    if choice.precision == "bf16":
        return torch.autocast("cuda", torch.bfloat16)
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)  # torch's default computes in 19 bits
