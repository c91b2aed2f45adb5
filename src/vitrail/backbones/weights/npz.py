"""Reads NumPy's .npz: an archive of arrays. Pickled objects in it are refused, and nothing is larger than declared."""

import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy

from vitrail.backbones.weights.archive import require_modest
from vitrail.core.errors import WeightsError
from vitrail.core.reasons import say_reason

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path) -> dict[str, torch.Tensor]:
    """The arrays of an .npz file by their names in the archive without ".npy", floating-point ones as float32.

    Raises:
        WeightsError: the file is damaged, holds anything but arrays of numbers, or would unpack to far too much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            require_modest(path, archive)
            return {name.removesuffix(".npy"): _read(archive, name) for name in archive.namelist()}
    except WeightsError:
        raise
    except Exception as error:  # a damaged file can make its reader raise anything
        raise WeightsError(
            f"The weights {path} are not a complete .npz file of plain arrays ({say_reason(error)}): fetch the "
            "file again from where it was published; Vitrail never opens pickled objects."
        ) from error


def _read(archive: zipfile.ZipFile, name: str) -> torch.Tensor:
    """One array, whose shape is believed only if the bytes for it are there: NumPy would make room for it first."""
    with archive.open(name) as member:
        version = npy.read_magic(member)
        if version not in HEADERS:
            raise ValueError(f"{name} has version {version} of the format")
        shape, columns_first, dtype = HEADERS[version](member)
        if dtype.kind not in "fiu":
            raise ValueError(f"{name} holds {dtype}, not numbers")
        content = member.read()
    wanted = int(np.prod([int(side) for side in shape], dtype=object)) * dtype.itemsize
    if len(content) != wanted or any(side < 0 for side in shape):
        raise ValueError(f"{name} declares the shape {shape} and {wanted} bytes, but has {len(content)}")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if columns_first else "C")
    return torch.from_numpy(np.array(array, dtype=np.float32 if dtype.kind == "f" else np.int64))
