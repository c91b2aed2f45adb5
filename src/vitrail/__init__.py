"""Which pretrained backbone should I build on, how good will it be, and can I trust that answer?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vitrail.api import BenchOptions as BenchOptions
    from vitrail.api import Run as Run
    from vitrail.api import audit as audit
    from vitrail.api import bench as bench
    from vitrail.api import extract_features as extract_features
    from vitrail.api import load_run as load_run

__all__ = ["BenchOptions", "Run", "audit", "bench", "extract_features", "load_run"]


def __getattr__(name: str) -> Any:
    """A public name is imported when it is first used: torch alone takes more than a second."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vitrail.core.machine import let_waiting_threads_sleep

    let_waiting_threads_sleep()  # no more than a request: a library that is imported already keeps its way to wait
    return getattr(import_module("vitrail.api"), name)
