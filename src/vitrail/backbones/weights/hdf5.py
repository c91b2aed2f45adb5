"""Reads Keras' .h5: a group a layer, in it its arrays. Needs the extra `keras`, which is h5py."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from vitrail.backbones.weights.archive import MAX_BYTES, MAX_RATIO
from vitrail.core.errors import UsageError, WeightsError
from vitrail.core.reasons import say_reason


def read_h5(path: Path) -> dict[str, torch.Tensor]:
    """The arrays of a Keras weights file or whole model as float32, by "layer/array": "conv1_conv/kernel".

    Raises:
        UsageError: h5py is not installed.
        WeightsError: the file is damaged, or holds anything but arrays of numbers that are in the file itself.
    """
    try:
        import h5py
    except ImportError as error:
        raise UsageError(f"The weights {path} are in HDF5: pip install 'vitrail[keras]' to read them.") from error
    arrays: dict[str, torch.Tensor] = {}
    limit = min(MAX_BYTES, MAX_RATIO * path.stat().st_size)

    def visit(place: str, item: Any) -> None:
        nonlocal limit
        if not isinstance(item, h5py.Dataset) or place.startswith("optimizer_weights/"):
            return
        limit -= item.nbytes
        _require_plain(place, item, limit)
        name = "/".join(place.split("/")[-2:]).partition(":")[0]  # conv1_conv/conv1_conv/kernel:0
        if name in arrays:
            raise ValueError(f"{name} occurs twice")
        arrays[name] = torch.from_numpy(np.array(item[()], dtype=np.float32))

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)  # follows no link to another place or file
    except Exception as error:  # a damaged file can make its reader raise anything
        raise WeightsError(
            f"The weights {path} are not a complete .h5 file of Keras' weights ({say_reason(error)}): fetch the "
            "file again from where it was published."
        ) from error
    return arrays


def _require_plain(place: str, item: Any, limit: int) -> None:
    if item.dtype.kind != "f":
        raise ValueError(f"{place} has type {item.dtype}, not numbers")
    if item.external or item.is_virtual:
        raise ValueError(f"{place} takes its numbers from another file")
    if limit < 0:
        raise ValueError(f"{place} declares far more numbers than the file holds")
