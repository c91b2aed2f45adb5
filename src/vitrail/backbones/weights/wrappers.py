"""Takes weights out of what training code wraps them in: prefixes of all names, and checkpoints with more than weights.

Sources of the prefixes: torch's DistributedDataParallel (module.) and compile (_orig_mod.), and the usual attributes of
a LightningModule.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from vitrail.core.errors import WeightsError

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "backbone.")
LISTED_KEYS = 8  # in a message

Note = Callable[[str], object]


def say_nothing(_note: str) -> None:
    """A `Note` for where nobody reads it."""


def strip_prefixes(stored: Mapping[str, torch.Tensor], file: Path, note: Note) -> dict[str, torch.Tensor]:
    """The tensors without the prefixes that all of their names have."""
    state, stripped = dict(stored), ""
    while prefix := next((p for p in PREFIXES if state and all(name.startswith(p) for name in state)), ""):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        stripped += prefix
    if stripped:
        note(
            f"All names in {file} begin with {stripped!r}, because the weights were saved from inside a wrapper: "
            "Vitrail reads them without it."
        )
    return state


def take_state(stored: Any, file: Path, note: Note) -> Any:
    """The tensors by name in a checkpoint that has them under a key; anything else as it is.

    Raises:
        WeightsError: several keys hold tensors by name, such as the weights and their moving average.
    """
    if not isinstance(stored, Mapping) or _is_state(stored):
        return stored
    states = [key for key, value in stored.items() if isinstance(key, str) and _is_state(value)]
    if len(states) > 1:
        raise WeightsError(
            f"The checkpoint {file} has several sets of weights ({', '.join(states[:LISTED_KEYS])}), and Vitrail does "
            "not choose one. Save the one that you want, and give that file: safetensors.torch.save_file("
            f"torch.load({file.name!r}, map_location='cpu', weights_only=True)[{states[0]!r}], 'w.safetensors')."
        )
    if not states:
        return stored
    others = [str(key) for key in stored if key != states[0]]
    if others:
        note(
            f"{file} is a checkpoint: Vitrail reads the weights under {states[0]!r} and leaves out "
            f"{', '.join(others[:LISTED_KEYS])}."
        )
    return stored[states[0]]


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in value.items())
    )
