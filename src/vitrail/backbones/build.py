"""From a card to its network. The one place that knows which card fields a network is built from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vitrail.backbones.cards import Card

if TYPE_CHECKING:
    from torch import Tensor, nn

CLASSIFIER = {"vit": "head", "resnet": "fc"}  # the last layer's name, timm's and torchvision's


def build_net(card: Card, *, classes: int | None = None) -> "nn.Module":
    """The network of a card, with random weights.

    Args:
        card: which family, variant, pooling and input size.
        classes: outputs of the classifier, 0 for none; None takes as many as the card's weights have.

    Returns:
        The network in training mode, on torch's current default device.
    """
    outputs = card.classifier_classes if classes is None else classes
    if card.family == "vit":
        from vitrail.nets.vit import build_vit

        return build_vit(
            str(card.variant["size"]),
            int(card.variant["patch"]),
            image_size=card.preprocessing.crop,
            classes=outputs,
            pooling=card.pooling,
        )
    from vitrail.nets.resnet import build_resnet

    return build_resnet(card.variant["depth"], classes=outputs)


def classes_in(card: Card, state: "Mapping[str, Tensor]") -> int:
    """How many classes the classifier of these weights has; 0 where they have none."""
    weight_CD = state.get(f"{CLASSIFIER[card.family]}.weight")
    return 0 if weight_CD is None else len(weight_CD)
