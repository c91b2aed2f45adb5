"""From a card to its network. The one place that knows which card fields a network is built from."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from vitrail.backbones.cards import Card

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vitrail.nets import vit

CLASSIFIER = {"vit": "head", "resnet": "fc", "bit": "head.fc"}  # the last layer's name, timm's and torchvision's


def build_net(card: Card, *, classes: int | None = None) -> "nn.Module":
    """The network of a card, with random weights.

    Args:
        card: which family, variant, pooling, activation, eps and input size.
        classes: outputs of the classifier, 0 for none; None takes as many as the card's weights have.

    Returns:
        The network in training mode, on torch's current default device.
    """
    return BUILDERS[card.family](card, card.classifier_classes if classes is None else classes)


def classes_in(card: Card, state: "Mapping[str, Tensor]") -> int:
    """How many classes the classifier of these weights has; 0 where they have none."""
    weight_CD = state.get(f"{CLASSIFIER[card.family]}.weight")
    return 0 if weight_CD is None else len(weight_CD)


def _vit(card: Card, classes: int) -> "nn.Module":
    from vitrail.nets.vit import build_vit

    return build_vit(
        str(card.variant["size"]),
        int(card.variant["patch"]),
        image_size=card.preprocessing.crop,
        classes=classes,
        pooling="mean" if card.pooling == "mean" else "cls",
        activation=cast("vit.Activation", card.activation),
        norm_eps=card.norm_eps,
    )


def _resnet(card: Card, classes: int) -> "nn.Module":
    from vitrail.nets.resnet import build_resnet

    return build_resnet(card.variant["depth"], classes=classes, norm_eps=card.norm_eps)


def _bit(card: Card, classes: int) -> "nn.Module":
    from vitrail.nets.bit import build_bit

    return build_bit(str(card.variant["size"]), classes=classes)


BUILDERS: dict[str, "Callable[[Card, int], nn.Module]"] = {"vit": _vit, "resnet": _resnet, "bit": _bit}
