"""Counts what a network costs, for its card. No weights and no memory: everything is on torch's meta device."""

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from vitrail.backbones.build import build_net
from vitrail.backbones.cards import Card


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """Parameters of a network without its classifier, and 1e9 multiply-adds for one image."""

    parameters: int
    gmacs: float


def count(card: Card) -> Counted:
    """Count one card's network at its input size.

    Args:
        card: only family, variant, pooling and preprocessing are read.

    Returns:
        The two figures. Multiply-adds are those of convolutions and matrix products, attention's included;
        norms, activations, softmax and biases are not counted (torch's FlopCounterMode, halved).
    """
    with torch.device("meta"):
        net = build_net(card, classes=0).eval().requires_grad_(False)
        image_BCHW = torch.empty(1, 3, card.preprocessing.crop, card.preprocessing.crop)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(image_BCHW)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return Counted(parameters=parameters, gmacs=counter.get_total_flops() / 2 / 1e9)
