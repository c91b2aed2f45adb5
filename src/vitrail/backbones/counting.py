"""Counts what a network costs, for its card. No weights and no memory: everything is on torch's meta device."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vitrail.backbones.build import build_net
from vitrail.backbones.cards import Card


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """Parameters of a network without its classifier, 1e9 multiply-adds for one image, and the feature's width."""

    parameters: int
    gmacs: float
    width: int


def count(card: Card) -> Counted:
    """Count one card's network at its input size.

    Multiply-adds are those of convolutions and matrix products, attention's included; norms, activations, softmax and
    biases are not counted (torch's FlopCounterMode, halved).
    """
    with torch.device("meta"):
        net = build_net(card, classes=0).eval().requires_grad_(False)
    return count_net(net, side=card.preprocessing.crop)


def count_net(net: nn.Module, *, side: int) -> Counted:
    """Count any network without its classifier, on the meta device and in evaluation mode, at an input of side x side.

    Its `forward` gives the feature. What is counted is what `count` counts.
    """
    image_BCHW = torch.empty(1, 3, side, side, device="meta")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        feature_BD = net(image_BCHW)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return Counted(parameters=parameters, gmacs=counter.get_total_flops() / 2 / 1e9, width=feature_BD.shape[-1])
