"""Table 1 of the ViT paper as the deck shows it, with exact numbers of parameters.

Dosovitskiy et al., arXiv:2010.11929, table 1 prints 86M, 307M and 632M; its Large has patches of 32 pixels.
The deck adds the two residual networks that it compares the transformers with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

CLASSES = 1000  # the paper counts the classifier too


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """A row of the table. Networks without attention have no `mlp` and `heads`. `published` is in millions."""

    name: str
    layers: int
    width: int
    mlp: int | None
    heads: int | None
    parameters: int
    published: int | None


def count_sizes() -> tuple[Size, ...]:
    """One row per network, counted on networks that torch's meta device builds without memory."""
    from vitrail.nets.bit import build_bit
    from vitrail.nets.resnet import build_resnet

    return (
        _size_of_vit("ViT-Base/16", "B", 16, published=86),
        _size_of_vit("ViT-Large/16", "L", 16, published=None),
        _size_of_vit("ViT-Large/32", "L", 32, published=307),
        _size_of_vit("ViT-Huge/14", "H", 14, published=632),
        _size_of_convolutional("ResNet50", 50, lambda: build_resnet(50, classes=CLASSES)),
        _size_of_convolutional("BiT R152x4", 152, lambda: build_bit("152x4", classes=CLASSES)),
    )


def _size_of_vit(name: str, size: str, patch: int, *, published: int | None) -> Size:
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
        parameters=_count_parameters(net),
        published=published,
    )


def _size_of_convolutional(name: str, layers: int, build: "Callable[[], nn.Module]") -> Size:
    import torch

    with torch.device("meta"), torch.inference_mode():
        net = build().eval()
        width = net.forward_features(torch.empty(1, 3, 32, 32)).shape[1]  # type: ignore[operator]
    return Size(
        name=name, layers=layers, width=width, mlp=None, heads=None, parameters=_count_parameters(net), published=None
    )


def _count_parameters(net: "nn.Module") -> int:
    return sum(parameter.numel() for parameter in net.parameters())
