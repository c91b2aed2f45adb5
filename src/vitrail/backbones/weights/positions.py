"""Brings a stored table of position embeddings to the input size of a card, once, before the network is loaded."""

from collections.abc import Mapping

import torch

from vitrail.backbones.cards import Card
from vitrail.nets.positions import resize_positions

TABLE = "pos_embed"


def fit_positions(state: Mapping[str, torch.Tensor], card: Card) -> dict[str, torch.Tensor]:
    """Resize the table if the card says that it is stored for another input size than the card's.

    `variant` of the card may have "stored", the side in pixels that the file's table is for; `positions` is the rule.
    The new table is for `preprocessing.crop`. A table that is not of the stated size is left as it is, so that the
    network refuses it by name.
    """
    stored, table_1LD = card.variant.get("stored"), state.get(TABLE)
    if stored is None or table_1LD is None or card.positions is None:
        return dict(state)
    patch = int(card.variant["patch"])
    known, wanted = int(stored) // patch, card.preprocessing.crop // patch
    own = table_1LD.shape[1] - known**2  # rows of the class token: one or none
    if own not in (0, 1):
        return dict(state)
    own_1LD, patch_1LD = table_1LD.tensor_split((own,), dim=1)
    resized_1LD = resize_positions(patch_1LD, (known, known), (wanted, wanted), card.positions)
    return {**state, TABLE: torch.cat((own_1LD, resized_1LD), dim=1)}
