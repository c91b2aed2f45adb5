"""Reads PyTorch's own .pth, which is a pickle: by torch's reader for weights alone, which runs nothing it finds."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vitrail.backbones.weights.archive import require_modest
from vitrail.backbones.weights.wrappers import Note, say_nothing, take_state
from vitrail.core.errors import WeightsError
from vitrail.core.hidden_warnings import HiddenWarnings
from vitrail.core.reasons import say_reason

_TORCH_WARNINGS = HiddenWarnings("torch")  # about pickle protocols, to torch's developers


def read_pth(path: Path, note: Note = say_nothing) -> dict[str, torch.Tensor]:
    """The tensors of a .pth or .bin file, floating-point ones as float32.

    The file has tensors by name, or a dictionary of them under one of its keys, as DeiT publishes it and as training
    code saves checkpoints; `note` receives what was left out.

    Raises:
        WeightsError: the file is damaged, or holds anything but plain tensors.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                require_modest(path, archive)
        with path.open("rb") as file, _TORCH_WARNINGS:  # of a path, torch believes the suffix
            stored: Any = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"The weights {path} hold more than tensors or are damaged. A pickle can contain a program, so Vitrail "
            "ran nothing from it: fetch the file again from where it was published, or save its tensors with "
            f"safetensors.torch.save_file."
        ) from error
    except WeightsError:
        raise
    except Exception as error:  # a damaged file can make its reader raise anything
        raise WeightsError(
            f"The weights {path} are not a complete PyTorch file that can be read safely ({say_reason(error)}): fetch "
            "the file again from where it was published, or save its tensors with safetensors.torch.save_file."
        ) from error
    return _only_tensors(take_state(stored, path, note), path)


def _only_tensors(stored: Any, path: Path) -> dict[str, torch.Tensor]:
    if not isinstance(stored, Mapping) or not stored:
        raise WeightsError(f"The weights {path} hold a {type(stored).__name__}, not tensors by name: check the file.")
    odd = [str(name) for name, value in stored.items() if not (isinstance(name, str) and _is_plain(value))]
    if odd:
        raise WeightsError(
            f"The weights {path} hold more than plain tensors by name ({', '.join(odd[:8])}): save the network's "
            f"state_dict() alone, and give that file."
        )
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in stored.items()}


def _is_plain(value: Any) -> bool:
    """A dense tensor in memory that has all its numbers: strides can show one number as a billion."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_complex()
        and value.untyped_storage().nbytes() >= value.nbytes
    )
