"""Reads safetensors files with timm's or torchvision's names, which are ours: nothing is renamed."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from vitrail.core.errors import WeightsError
from vitrail.core.reasons import say_reason


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file by name, floating-point ones as float32, counters as they are.

    Raises:
        WeightsError: the file cannot be read, or is not whole safetensors.
    """
    try:
        stored = load_file(path)
    except OSError as error:
        raise WeightsError(f"The weights {path} cannot be read ({error.strerror or error}): check the path.") from error
    except SafetensorError as error:
        raise WeightsError(
            f"The weights {path} are not a complete safetensors file ({say_reason(error)}), nor PyTorch's, NumPy's or "
            "HDF5: fetch the file again from where it was published."
        ) from error
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in stored.items()}
