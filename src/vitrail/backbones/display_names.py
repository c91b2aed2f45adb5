"""Short names of backbones for tables, plots and sentences: "ViT-Ti/16 AugReg". Imports no torch.

They are made from the facts of the cards, so a new card of a known family needs nothing here. A short name is for
reading: what is typed after `-b` is always the full one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from vitrail.backbones.cards import Card, is_unknown_file

LIBRARIES = ("timm", "hf")  # families whose networks have other names
# Of a variant; the other families are named by size and patch.
NAMED_BY = {"resnet": ("depth",), "bit": ("size",), "convnext": ("size", "version"), "mobilenetv4": ("size",)}
LONGEST_AS_IT_IS = 12  # characters; a name of so few is its own short name
LOCAL = "local"  # in place of the training method, where a file is not known to be the published one
METHODS = {
    "a1": "A1",
    "augreg": "AugReg",
    "in12k": "12k",
    "keras": "Keras",
    "laion2b": "LAION-2B",
    "openai": "OpenAI",
    "orig": "original",
    "tv": "TV",
    "tv2": "TV2",
}  # by the first word of a name's tag: "tv" of resnet50.tv_in1k; other tags repeat what the architecture says
COLLECTIONS = {"imagenet-1k": "1k", "imagenet-21k": "21k"}


class HasCard(Protocol):
    """A backbone under its name in a run, such as a result; the name may end in +recipe."""

    @property
    def name(self) -> str:
        """As in the run."""

    @property
    def card(self) -> Card:
        """Its facts."""


def display_names(backbones: Iterable[Card | HasCard]) -> dict[str, str]:
    """The short name of each backbone by its full name, each different from all others.

    Where two would be equal, pretraining collections are added ("ViT-S/16 AugReg 21k"), then the input size, then the
    full name is used.
    A file that is not known to be the published one is marked ("ResNet50 local").
    """
    stages = {backbone.name: _stages(backbone) for backbone in backbones}
    level = dict.fromkeys(stages, 0)
    while True:
        short = {name: stages[name][level[name]] for name in stages}
        count = Counter(short.values())
        equal = [name for name in stages if count[short[name]] > 1 and level[name] + 1 < len(stages[name])]
        if not equal:
            return short
        for name in equal:
            level[name] += 1


def shorten_names(text: str, names: Mapping[str, str]) -> str:
    """A sentence with the short name in the place of each full one."""
    if not names:
        return text
    longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    whole_name = re.compile(rf"(?<![\w./@:-])({longest_first})(?![\w/@+=-]|\.\w)")
    return whole_name.sub(lambda match: names[match[1]], text)


def _stages(backbone: Card | HasCard) -> tuple[str, ...]:
    """A backbone's names from the shortest to the full one."""
    card = backbone if isinstance(backbone, Card) else backbone.card
    recipe = backbone.name.removeprefix(card.name)
    stated = NAMED_BY.get(card.family, ("size", "patch"))
    if len(card.name) <= LONGEST_AS_IT_IS or (card.family not in LIBRARIES and not card.variant.keys() >= set(stated)):
        return (backbone.name,)
    if card.family in LIBRARIES:
        model = card.name.split(":", 1)[-1].rsplit("/", 1)[-1]
        return (model.split(".")[0] + recipe, model + recipe, backbone.name)
    method = METHODS.get(_tag(card), "")
    size = f"@{card.name.rsplit('@', 1)[1]}" if "@" in card.name else ""
    collections = "+".join(COLLECTIONS[name] for name in card.pretraining if name in COLLECTIONS)
    if is_unknown_file(card):  # its training is not known: the name that it was given tells two such files apart
        parts = [(_architecture(card), size, LOCAL), (_architecture(card), method, size, LOCAL)]
    else:
        known = (_architecture(card), method, size)
        parts = [known, (*known, collections), (*known, collections, f"{card.preprocessing.crop} px")]
    return (*(" ".join(part for part in stage if part) + recipe for stage in parts), backbone.name)


def _tag(card: Card) -> str:
    """The first word after the dot: "tv" of resnet50.tv_in1k; empty without a dot."""
    return re.split("[_@]", card.name.partition(".")[2])[0]


def _architecture(card: Card) -> str:
    variant = card.variant
    match card.family:
        case "resnet":
            return f"ResNet{str(variant['depth']).removesuffix('v1')}"
        case "bit":
            return f"BiT R{variant['size']}"
        case "mobilenetv4":
            return f"MobileNetV4 {variant['size']}"
        case "convnext" if _tag(card) == "dinov3":
            return f"DINOv3 ConvNeXt {variant['size']}"
        case "convnext":
            masked = " FCMAE" if variant.get("last_norm") == "plain" else ""
            return f"ConvNeXt{' V2' if variant['version'] == 2 else ''} {variant['size']}{masked}"
    size = f"{variant['size']}/{variant['patch']}"
    match card.family, variant.get("form"):
        case "clip", _:
            return f"CLIP ViT-{size}"
        case "dinov3", _:
            return f"DINOv3 {size}"
        case "eva02", _:
            return f"EVA-02 {size}"
        case "siglip", _:
            return f"SigLIP {'2 ' if _tag(card) == 'v2' else ''}{size}"
        case _, "DeiT-III":
            return f"DeiT-III {size}"
        case _, "DINOv2":
            return f"DINOv2 {size}"
        case _, "DINOv2 with registers":
            return f"DINOv2 {size} reg"
    if card.name.startswith("deit_"):
        return f"DeiT-{size}"
    return f"DINO {size}" if _tag(card) == "dino" else f"ViT-{size}"
