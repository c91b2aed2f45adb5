"""Imports timm and transformers, and holds the facts that each library has about one of its networks."""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from vitrail.backbones.cards import Family, Preprocessing
from vitrail.core.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

TORCHVISION_OPERATORS = ("nms", "qnms")  # described by torchvision/_meta_registrations.py on import


class Network(Protocol):
    """A network of another library, before it is loaded."""

    def blank(self) -> "nn.Module":
        """The network without classifier, on the meta device, in evaluation mode: `image_BCHW -> feature_BD`."""

    def loaded(self, file: Path) -> "nn.Module":
        """The network with the weights of a file, in evaluation mode; raises WeightsError if they do not fit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """The facts that a library has about one of its networks."""

    family: Family
    model: str
    release: str
    network: Network
    preprocessing: Preprocessing
    licence: str
    classes: int
    seen_in: str


def import_library(name: str, *, extra: str) -> ModuleType:
    """Import timm or transformers, and torchvision before it.

    `extra` is Vitrail's extra that brings the library.

    Raises:
        UsageError: the library is not installed.
    """
    if importlib.util.find_spec(name) is None:
        raise UsageError(f"{name} is not installed: pip install 'vitrail[{extra}]' for backbones named {extra}:.")
    _torchvision_first()
    return importlib.import_module(name)


@cache
def _torchvision_first() -> Any:
    """Import torchvision where it is installed, even if its compiled operators do not fit the torch that is there.

    Its wheels have none for a torch without CUDA, and its import fails where it describes operators that were never
    loaded. Declaring their names is enough: no classifier calls one. What is returned keeps the declarations alive.
    """
    if importlib.util.find_spec("torchvision") is None:
        return None
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        import torch

        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for operator in TORCHVISION_OPERATORS:
            library.define(f"{operator}(Tensor any) -> Tensor")
        importlib.import_module("torchvision")
        return library


def pooled(function: "Callable[[Tensor], Tensor]", inner: "nn.Module") -> "nn.Module":
    """A module whose `forward` and `forward_features` both give `feature_BD`, as our networks do.

    `function` turns `image_BCHW` into the library's output, one vector an image whatever its shape; `inner` is the
    library's network, whose weights the module has.
    """
    from torch import Tensor, nn

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, image_BCHW: Tensor) -> Tensor:
            return function(image_BCHW).flatten(1)

        def forward_features(self, image_BCHW: Tensor) -> Tensor:
            return function(image_BCHW).flatten(1)

    return Pooled().eval()
