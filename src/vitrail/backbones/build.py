"""From a card to its network. The one place that knows which card fields a network is built from."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from vitrail.backbones.cards import Card

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vitrail.nets import clip, convnext, vit
    from vitrail.nets.positions import PositionRule

# The last layer's name, timm's and torchvision's. SigLIP and DINOv3 have none; CLIP's is a projection.
CLASSIFIER = {
    "vit": "head",
    "clip": "head",
    "siglip": "head",
    "dinov3": "head",
    "resnet": "fc",
    "bit": "head.fc",
    "convnext": "head.fc",
    "eva02": "head",
    "mobilenetv4": "classifier",
}


def build_net(card: Card, *, classes: int | None = None) -> "nn.Module":
    """The network of a card, with random weights, in training mode and on torch's current default device.

    `classes` is the number of outputs of the classifier, 0 for none; None is that of the card's weights.
    """
    return BUILDERS[card.family](card, card.classifier_classes if classes is None else classes)


def classes_in(card: Card, state: "Mapping[str, Tensor]") -> int:
    """How many classes the classifier of these weights has; 0 if they have no classifier."""
    weight_CD = state.get(f"{CLASSIFIER[card.family]}.weight")
    return 0 if weight_CD is None else len(weight_CD)


def _vit(card: Card, classes: int) -> "nn.Module":
    from vitrail.nets.vit import VIT_FORMS, VIT_SIZES, VisionTransformer, VitConfig

    return VisionTransformer(
        VitConfig(
            size=VIT_SIZES[str(card.variant["size"])],
            form=VIT_FORMS[str(card.variant.get("form", "ViT"))],
            patch=int(card.variant["patch"]),
            image_size=card.preprocessing.crop,
            classes=classes,
            positions=_positions(card),
            pooling="mean" if card.pooling == "mean" else "cls",
            activation=cast("vit.Activation", card.activation),
            norm_eps=_norm_eps(card),
        )
    )


def _clip(card: Card, classes: int) -> "nn.Module":
    from vitrail.nets.clip import ClipConfig, ClipImageTower
    from vitrail.nets.vit import VIT_SIZES

    return ClipImageTower(
        ClipConfig(
            size=VIT_SIZES[str(card.variant["size"])],
            patch=int(card.variant["patch"]),
            image_size=card.preprocessing.crop,
            projection=classes,
            activation=cast("clip.Activation", card.activation),
            positions=_positions(card),
            norm_eps=_norm_eps(card),
        )
    )


def _siglip(card: Card, _classes: int) -> "nn.Module":
    from vitrail.nets.siglip import SIGLIP_SIZES, SiglipConfig, SiglipImageTower

    return SiglipImageTower(
        SiglipConfig(
            size=SIGLIP_SIZES[str(card.variant["size"])],
            patch=int(card.variant["patch"]),
            image_size=card.preprocessing.crop,
            activation=cast("vit.Activation", card.activation),
            positions=_positions(card),
            norm_eps=_norm_eps(card),
        )
    )


def _norm_eps(card: Card) -> float:
    assert card.norm_eps is not None, f"the card {card.name} is of a network of ours"
    return card.norm_eps


def _positions(card: Card) -> "PositionRule":
    if card.positions is None:
        raise ValueError(f"The card of {card.name} names no rule for its position embeddings.")
    return card.positions


def _resnet(card: Card, classes: int) -> "nn.Module":
    from vitrail.nets.resnet import build_resnet

    return build_resnet(card.variant["depth"], classes=classes, norm_eps=_norm_eps(card))


def _bit(card: Card, classes: int) -> "nn.Module":
    from vitrail.nets.bit import build_bit

    return build_bit(str(card.variant["size"]), classes=classes, norm_eps=_norm_eps(card))


def _convnext(card: Card, classes: int) -> "nn.Module":
    from vitrail.nets.convnext import CONVNEXT_SIZES, ConvNeXt

    return ConvNeXt(
        CONVNEXT_SIZES[str(card.variant["size"])],
        version=cast("convnext.Version", card.variant["version"]),
        classes=classes,
        norm_eps=_norm_eps(card),
    )


def _dinov3(card: Card, _classes: int) -> "nn.Module":
    from vitrail.nets.dinov3 import DINOV3_SIZES, DinoV3

    return DinoV3(DINOV3_SIZES[str(card.variant["size"])], patch=int(card.variant["patch"]), norm_eps=_norm_eps(card))


def _eva02(card: Card, classes: int) -> "nn.Module":
    from vitrail.nets.eva02 import EVA02_SIZES, Eva02, EvaConfig

    return Eva02(
        EvaConfig(
            size=EVA02_SIZES[str(card.variant["size"])],
            patch=int(card.variant["patch"]),
            image_size=card.preprocessing.crop,
            classes=classes,
            positions=_positions(card),
            norm_eps=_norm_eps(card),
        )
    )


def _mobilenetv4(card: Card, classes: int) -> "nn.Module":
    from vitrail.nets.mobilenetv4 import MOBILENETV4_SIZES, MobileNetV4

    return MobileNetV4(MOBILENETV4_SIZES[str(card.variant["size"])], classes=classes, norm_eps=_norm_eps(card))


BUILDERS: dict[str, "Callable[[Card, int], nn.Module]"] = {
    "vit": _vit,
    "clip": _clip,
    "siglip": _siglip,
    "resnet": _resnet,
    "bit": _bit,
    "convnext": _convnext,
    "dinov3": _dinov3,
    "eva02": _eva02,
    "mobilenetv4": _mobilenetv4,
}
