"""The independent implementations that tests compare with: timm, and torchvision below it."""

import functools
import importlib
import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

UNCOMPILED_OPERATORS = ("nms", "qnms")  # what torchvision/_meta_registrations.py describes without looking


@functools.cache
def torchvision() -> Any:
    """torchvision, imported even where its compiled operators do not fit the torch that is there.

    Its wheel has no build for a CPU-only torch, and its import fails where it describes operators that were never
    loaded. Declaring their names first is enough: no test calls one.
    """
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision and timm are references of the dev environment")
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in UNCOMPILED_OPERATORS:
            library.define(f"{name}(Tensor any) -> Tensor")
        module = importlib.import_module("torchvision")
        module.declared_for_tests = library  # the declarations end with the object
        return module


@functools.cache
def timm() -> Any:
    """timm, the ground truth for weights and preprocessing."""
    torchvision()
    return importlib.import_module("timm")


def timm_net(name: str, **options: Any) -> nn.Module:
    """timm's network of a name, with random weights, in evaluation mode."""
    net: nn.Module = timm().create_model(name, pretrained=False, **options).eval()
    return net


def timm_config(name: str) -> dict[str, Any]:
    """What timm would preprocess with for the weights of this name."""
    return dict(timm().data.resolve_data_config({}, pretrained_cfg=timm().get_pretrained_cfg(name).to_dict()))


def timm_pixels(image: Image.Image, config: dict[str, Any]) -> torch.Tensor:
    """The image after timm's own evaluation transform, `image_CHW`."""
    pixels: torch.Tensor = timm().data.create_transform(**config)(image)
    return pixels


def randomise(net: nn.Module, *, seed: int = 0) -> dict[str, torch.Tensor]:
    """Draw every parameter and buffer anew, biases and norms included, so that nothing hides behind a zero or a one.

    Weights keep the scale that keeps activations near one, variances are positive.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator)

    state = {}
    for name, tensor in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = 0.5 + torch.rand(tensor.shape, generator=generator)
        elif tensor.ndim > 1 and "pos_embed" not in name and "cls_token" not in name:
            state[name] = normal(tensor) / tensor[0].numel() ** 0.5
        elif name.endswith("weight"):  # of a norm
            state[name] = 1 + 0.2 * normal(tensor)
        else:
            state[name] = 0.2 * normal(tensor)
    net.load_state_dict(state, strict=True)
    return state


def relative_gap(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest norm(ours - theirs) / norm(theirs) over the rows."""
    gap = (ours - theirs).flatten(1).norm(dim=1) / theirs.flatten(1).norm(dim=1)
    return float(gap.detach().max())


def noise_image(columns: int, rows: int, *, seed: int = 0) -> Image.Image:
    """An RGB image with a gradient, an edge and noise: whatever a resize can get wrong shows in it."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:rows, :columns]
    pixel_HWC: NDArray[np.float64] = rng.uniform(0, 90, (rows, columns, 3))
    pixel_HWC[..., 0] += 160 * column / columns
    pixel_HWC[..., 1] += 160 * row / rows
    pixel_HWC[..., 2] += 160 * (column > columns / 3)
    return Image.fromarray(pixel_HWC.astype(np.uint8))
