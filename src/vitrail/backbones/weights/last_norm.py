"""The last norm of a ConvNeXt V2 that was only pretrained as a masked autoencoder.

FCMAE trains no norm behind the mean over the map, so the authors' files have none. What is fine-tuned on them begins
with a plain one: factors of one and offsets of zero, as timm has it (timm 1.0.31, timm/models/convnext.py,
_create_convnext).
"""

from collections.abc import Mapping

import torch

from vitrail.backbones.cards import Card

WEIGHT, BIAS = "head.norm.weight", "head.norm.bias"


def add_plain_norm(state: Mapping[str, torch.Tensor], card: Card) -> dict[str, torch.Tensor]:
    """Add a plain last norm if the card says that its weights were pretrained without one, and the file has none.

    `variant` of the card then has "last_norm": "plain". Files of other cards stay as they are, so that a missing norm
    is an error.
    """
    if card.variant.get("last_norm") != "plain" or WEIGHT in state or BIAS in state:
        return dict(state)
    return {**state, WEIGHT: torch.ones(card.feature_width), BIAS: torch.zeros(card.feature_width)}
