"""From a weights file to a network: one reader a kind of file, one layout a library's names, one strict way in.

The kind of a file is read from its bytes, not its name. Its layout is read from the names of its tensors; timm's and
torchvision's names are ours.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import nn

from vitrail.backbones.weights import convnext, dinov3, eva02, google, keras, torchvision, transformers
from vitrail.backbones.weights.archive import member_names
from vitrail.backbones.weights.hdf5 import read_h5
from vitrail.backbones.weights.npz import read_npz
from vitrail.backbones.weights.pickled import read_pth
from vitrail.backbones.weights.renaming import Layout, to_ours
from vitrail.backbones.weights.safetensors import read_safetensors
from vitrail.backbones.weights.wrappers import Note, say_nothing, strip_prefixes
from vitrail.core.bounded import read_json
from vitrail.core.errors import WeightsError
from vitrail.core.hashing import fingerprint, sha256_bytes

LISTED_TENSORS = 8  # of each kind, in an error message
NOT_FLOATING = "not floating-point"

# Counters of training steps that inference never reads. Files from before 2019 lack them.
UNUSED_COUNTER = ".num_batches_tracked"


# The first whose mark is in a file is the file's layout, so a layout comes before those that it extends.
LAYOUTS: tuple[Layout, ...] = (
    google.VIT_WITH_REPRESENTATION,
    google.VIT,
    google.BIT,
    keras.RESNET,
    dinov3.META,
    dinov3.GATED_TRANSFORMERS,
    dinov3.TRANSFORMERS,
    eva02.EVA02,
    transformers.DEIT,
    transformers.DINOV2_WITH_REGISTERS,
    transformers.DINOV2,
    transformers.VIT,
    torchvision.VIT,
    convnext.META,
    convnext.TRANSFORMERS,
    convnext.DINOV3,
    convnext.TIMM,
)

HDF5_START, ZIP_START, PICKLE_START = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x80"
LFS_START = b"version https://git-lfs.github.com/spec/"
LENGTH_BYTES = 8  # of the JSON that a safetensors file begins with


def read_weights(path: Path, note: Note = say_nothing) -> dict[str, torch.Tensor]:
    """The tensors of a weights file, by our names and in our form, floating-point ones as float32.

    The file is safetensors, PyTorch's .pth or .bin, NumPy's .npz or Keras' .h5, with the names of timm, torchvision,
    transformers, keras.applications, Google's ViT and BiT, Meta's ConvNeXt and DINOv3, or EVA-02. `note` receives what
    was taken off: the prefix of a wrapper, what else is in a checkpoint. Raises WeightsError if it cannot be read, is
    damaged or hostile, mixes names, or has weights that are not floating-point.
    """
    state = give_our_names(strip_prefixes(_reader_of(path, note)(path), path, note), path)
    require_floating({name: tensor.dtype for name, tensor in state.items() if not tensor.is_floating_point()}, path)
    return state


def give_our_names(stored: Mapping[str, torch.Tensor], file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file under our names and in our form, by the first layout that it has the mark of.

    Raises:
        WeightsError: the names belong to a library but are not all known.
    """
    layout = next((layout for layout in LAYOUTS if layout.prefix_in(stored) is not None), None)
    return dict(stored) if layout is None else to_ours(stored, layout, file=file)


def require_floating(others: Mapping[str, object], file: Path) -> None:
    """Refuse weights of another type: without their scale, quantised ones mean nothing.

    Args:
        others: the types of the tensors that are not floating-point; counters and indices may be integers.
        file: where they are.

    Raises:
        WeightsError: one of them is a weight or a bias.
    """
    weights = {name: kind for name, kind in others.items() if name.rpartition(".")[2] in ("weight", "bias")}
    if weights:
        kinds = ", ".join(sorted({str(kind).removeprefix("torch.") for kind in weights.values()}))
        raise WeightsError(
            f"The weights {file} are not floating-point: {_listing(f'of type {kinds}', list(weights))}. Give the "
            "weights as they were before they were quantised or converted."
        )


def digest_tensors(state: Mapping[str, torch.Tensor]) -> str:
    """The sha256 over names, shapes, dtypes and values of tensors as `read_weights` gives them, whatever their order.

    Counters that inference never reads are left out, since some files of the same weights lack them.
    """
    facts = {
        name: (str(tensor.dtype), list(tensor.shape), sha256_bytes(tensor.contiguous().numpy().data))
        for name, tensor in state.items()
        if not name.endswith(UNUSED_COUNTER)
    }
    return fingerprint(facts)


def _reader_of(path: Path, note: Note) -> Callable[[Path], dict[str, torch.Tensor]]:
    try:
        with path.open("rb") as file:
            start, size = file.read(LENGTH_BYTES + 1), path.stat().st_size
    except OSError as error:
        raise WeightsError(f"The weights {path} cannot be read ({error.strerror or error}): check the path.") from error
    if start.startswith(HDF5_START):
        return read_h5
    if start.startswith(ZIP_START):
        return read_npz if any(name.endswith(".npy") for name in member_names(path)) else partial(read_pth, note=note)
    if _is_safetensors(start, size):
        return read_safetensors
    _refuse_stand_in(path, start)
    return partial(read_pth, note=note) if start.startswith(PICKLE_START) else read_safetensors


def _refuse_stand_in(path: Path, start: bytes) -> None:
    """Refuse a text file that only says where the weights are."""
    if LFS_START.startswith(start) and len(start) > LENGTH_BYTES:
        raise WeightsError(
            f"{path} is a pointer of Git LFS, not the weights themselves: run `git lfs pull` in its repository, or "
            "fetch the file from where it was published."
        )
    if not start.lstrip().startswith(b"{"):
        return
    try:
        document = read_json(path)
        shards = sorted({str(shard) for shard in document["weight_map"].values()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return
    raise WeightsError(
        f"{path} is an index of weights in {len(shards)} other file{'s' * (len(shards) != 1)} "
        f"({', '.join(shards[:LISTED_TENSORS])}). Vitrail takes one file: load each with safetensors.torch.load_file, "
        "join the dictionaries, save them with safetensors.torch.save_file, and give that file."
    )


def _is_safetensors(start: bytes, size: int) -> bool:
    """Its first byte is the low one of a length, and so may be any: of one file in 32 it is a pickle's."""
    header = int.from_bytes(start[:LENGTH_BYTES], "little")
    return start[LENGTH_BYTES:] == b"{" and LENGTH_BYTES + header <= size


def load_into(net: nn.Module, state: Mapping[str, torch.Tensor], *, file: Path) -> None:
    """Copy weights into a network, all of them or none.

    The network is on the CPU; `state` has the network's own names.

    Raises:
        WeightsError: a tensor is unexpected, missing, of another shape, not floating-point, or not finite; the message
            lists such tensors.
    """
    wanted = net.state_dict()
    missing = [name for name in wanted if name not in state and not name.endswith(UNUSED_COUNTER)]
    unexpected = [name for name in state if name not in wanted]
    shared = [name for name in wanted if name in state]
    not_floating = [
        f"{name} ({str(state[name].dtype).removeprefix('torch.')})"
        for name in shared
        if wanted[name].is_floating_point() and not state[name].is_floating_point()
    ]
    misshapen = [
        f"{name} (has {_shape(state[name])}, needs {_shape(wanted[name])})"
        for name in shared
        if state[name].shape != wanted[name].shape
    ]
    not_finite = [name for name in shared if not torch.isfinite(state[name]).all()]
    kinds = {
        "unexpected": unexpected,
        "missing": missing,
        "misshapen": misshapen,
        NOT_FLOATING: not_floating,
        "not finite": not_finite,
    }
    faults = [_listing(kind, names) for kind, names in kinds.items() if names]
    if faults:
        raise WeightsError(
            f"The weights {file} do not fit their network: {'; '.join(faults)}. "
            f"Check that the file belongs to the backbone it was given for."
        )
    net.load_state_dict(dict(state), strict=False)  # strict above; only unused counters are left


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(str(side) for side in tensor.shape) or "one number"


def _listing(kind: str, names: list[str]) -> str:
    shown = ", ".join(names[:LISTED_TENSORS])
    rest = len(names) - LISTED_TENSORS
    return f"{len(names)} {kind}: {shown}" + (f" and {rest} more" if rest > 0 else "")
