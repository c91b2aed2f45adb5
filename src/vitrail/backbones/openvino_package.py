"""The package openvino, imported without its telemetry, and what it says of the processor. No torch.

It reports its use over the network as soon as it is imported (openvino/tools/ovc/__init__.py), and so does nncf
(nncf/telemetry/wrapper.py).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType

TELEMETRY = "openvino_telemetry"


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Let imports inside the `with` find that the telemetry is not installed.

    A library that was imported before keeps its telemetry; what we call opens no connection either way.
    """
    telemetry = sys.modules.pop(TELEMETRY, None)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # makes the import of that name fail
    try:
        yield
    finally:
        del sys.modules[TELEMETRY]
        if telemetry is not None:
            sys.modules[TELEMETRY] = telemetry


def import_openvino() -> ModuleType:
    """OpenVINO, without its telemetry."""
    if "openvino" not in sys.modules:
        with without_telemetry():
            import_module("openvino")
    return sys.modules["openvino"]


@cache
def openvino_capabilities() -> tuple[str, ...]:
    """What the processor can compute in, in OpenVINO's words: "FP32", "BF16", "INT8" and others."""
    return tuple(import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
