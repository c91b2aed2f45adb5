"""From a weights file to a network. One reader a format, each giving our names; then one strict way in."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from vitrail.core.errors import WeightsError

LISTED_TENSORS = 8  # of each kind, in an error message

# Counters of training steps that inference never reads. Files from before 2019 lack them.
UNUSED_COUNTER = ".num_batches_tracked"


def load_into(net: nn.Module, state: Mapping[str, torch.Tensor], *, file: Path) -> None:
    """Copy weights into a network, all of them or none.

    Args:
        net: the network, on the CPU.
        state: tensors by the network's own names.
        file: where they come from, for the message.

    Raises:
        WeightsError: if a tensor is unexpected, missing, of another shape, or not finite; it lists them.
    """
    wanted = net.state_dict()
    missing = [name for name in wanted if name not in state and not name.endswith(UNUSED_COUNTER)]
    unexpected = [name for name in state if name not in wanted]
    shared = [name for name in wanted if name in state]
    misshapen = [
        f"{name} (has {_shape(state[name])}, needs {_shape(wanted[name])})"
        for name in shared
        if state[name].shape != wanted[name].shape
    ]
    not_finite = [name for name in shared if not torch.isfinite(state[name]).all()]
    kinds = {"unexpected": unexpected, "missing": missing, "misshapen": misshapen, "not finite": not_finite}
    faults = [_listing(kind, names) for kind, names in kinds.items() if names]
    if faults:
        raise WeightsError(
            f"The weights {file} do not fit their network: {'; '.join(faults)}. "
            f"Check that the file belongs to the backbone it was given for."
        )
    net.load_state_dict(dict(state), strict=False)  # strict above; what is left are unused counters


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(str(side) for side in tensor.shape) or "one number"


def _listing(kind: str, names: list[str]) -> str:
    shown = ", ".join(names[:LISTED_TENSORS])
    rest = len(names) - LISTED_TENSORS
    return f"{len(names)} {kind}: {shown}" + (f" and {rest} more" if rest > 0 else "")
