"""Which pretrained backbone should I build on, how good will it be, and can I trust that answer?"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vitrail.api import BenchOptions as BenchOptions
    from vitrail.api import Run as Run
    from vitrail.api import audit as audit
    from vitrail.api import bench as bench
    from vitrail.api import features as features
    from vitrail.api import load_run as load_run

__all__ = ["BenchOptions", "Run", "audit", "bench", "features", "load_run"]


def _offer(name: str) -> property:
    """A public name, imported when it is first used: torch alone takes more than a second."""

    def get(package: ModuleType) -> Any:
        from vitrail import api

        return getattr(api, name)

    def keep(package: ModuleType, module: Any) -> None:
        """Importing the module vitrail.bench must not hide the function vitrail.bench."""

    return property(get, keep)


# A module's __getattr__ is asked only for what is missing, and two of the names are also those of rooms.
sys.modules[__name__].__class__ = type("Vitrail", (ModuleType,), {name: _offer(name) for name in __all__})
