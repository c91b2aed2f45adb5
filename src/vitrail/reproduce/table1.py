"""Table 1 of the ViT paper as the deck shows it, with every parameter counted and not rounded.

Dosovitskiy et al., arXiv:2010.11929, table 1 prints 86M, 307M and 632M; its Large is the one of 32-pixel patches.
Beside the transformers stand the two residual networks that the deck compares them with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

CLASSES = 1000  # the classifier is counted, as it was in the paper


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """A network of the table; `mlp` and `heads` are None where there is no attention. `published` is in millions."""

    name: str
    layers: int
    width: int
    mlp: int | None
    heads: int | None
    parameters: int
    published: int | None


def table1() -> tuple[Size, ...]:
    """The table.

    Returns:
        A row a network. Everything is read off networks built without memory, on torch's meta device.
    """
    from vitrail.nets.bit import build_bit
    from vitrail.nets.resnet import build_resnet

    return (
        _vit("ViT-Base/16", "B", 16, published=86),
        _vit("ViT-Large/16", "L", 16, published=None),
        _vit("ViT-Large/32", "L", 32, published=307),
        _vit("ViT-Huge/14", "H", 14, published=632),
        _convolutional("ResNet50", 50, lambda: build_resnet(50, classes=CLASSES)),
        _convolutional("BiT R152x4", 152, lambda: build_bit("152x4", classes=CLASSES)),
    )


def _vit(name: str, size: str, patch: int, *, published: int | None) -> Size:
    import torch

    from vitrail.nets.vit import VIT_SIZES, Mlp, VisionTransformer, VitConfig

    with torch.device("meta"):
        net = VisionTransformer(VitConfig(size=VIT_SIZES[size], patch=patch, classes=CLASSES))
    mlp = next(module for module in net.modules() if isinstance(module, Mlp))
    return Size(
        name=name,
        layers=len(net.blocks),
        width=net.pos_embed.shape[-1],
        mlp=mlp.fc1.out_features,
        heads=net.blocks[0].attn.heads,  # type: ignore[arg-type, union-attr]
        parameters=_parameters(net),
        published=published,
    )


def _convolutional(name: str, layers: int, build: "Callable[[], nn.Module]") -> Size:
    import torch

    with torch.device("meta"), torch.inference_mode():
        net = build().eval()
        width = net.forward_features(torch.empty(1, 3, 32, 32)).shape[1]  # type: ignore[operator]
    return Size(
        name=name, layers=layers, width=width, mlp=None, heads=None, parameters=_parameters(net), published=None
    )


def _parameters(net: "nn.Module") -> int:
    return sum(parameter.numel() for parameter in net.parameters())
