"""The deck: what it compared, the figures that it printed, and how a run of its recipe differs from it.

The deck's accuracies are 1,422 and 1,624 of 2,009: the only number of test images below 25,000, multiples aside, that
gives both to float32. At 24 images a batch these are its 84 steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vitrail.backbones import Card
from vitrail.backbones.cards import is_unknown_file

DATA, CLASSES, IMAGES = "Stanford Dogs", 120, 20_580
TEST_IMAGES = 2_009

Topic = Literal["network", "weights", "pixels", "head", "images", "split"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Departure:
    """One way in which a run differs from the deck, or may; `topic` is that of the sentence in one word."""

    topic: Topic
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What the deck printed of one network: `right` of `TEST_IMAGES` test images, and `user_s`, its time in seconds.

    `cards` are the names of the cards that may stand for its very weights.
    """

    network: str
    cards: tuple[str, ...]
    right: int
    user_s: float


RESNET = Published(network="ResNet50", cards=("resnet50.keras_in1k",), right=1_422, user_s=(5 * 60 + 6) * 60 + 47)
VIT = Published(
    network="ViT-S/16",
    cards=("vit_small_patch16_224.augreg_in21k_ft_in1k", "vit_small_patch16_224.augreg_in21k"),
    right=1_624,
    user_s=(4 * 60 + 43) * 60 + 50,
)
NOT_EQUALISED = Departure(topic="pixels", sentence="Pixels are not equalised, to measure what equalising does.")
OTHER_IMAGES = Departure(
    topic="images", sentence=f"The deck's images were the {CLASSES} breeds of {DATA}; these are other classes."
)
_OF_HEAD = (
    Departure(
        topic="head",
        sentence="The head's weights start at 0 instead of Glorot's noise; the loss is convex, so only the way to its "
        "minimum differs.",
    ),
    Departure(
        topic="head",
        sentence="Probabilities are divided by a temperature fitted out of fold, which changes the loss but no answer.",
    ),
    Departure(
        topic="head",
        sentence="Of the heads that are not clearly worse on val than the best, the most regularised is chosen; how "
        "the deck chose, and among how many settings, is not known.",
    ),
)


def find_published(card: Card) -> Published | None:
    """The network of the deck that a backbone stands for, by its kind; None for other libraries' and text networks."""
    match card.family:
        case "vit":
            return VIT
        case "resnet" | "bit":
            return RESNET
    return None


def find_departures(card: Card) -> tuple[Departure, ...]:
    """How a backbone under the deck's recipe differs from the deck, apart from the images."""
    return (*_of_network(card), *_of_pixels(card), *_OF_HEAD)


def find_data_departures(*, images: int, test_images: int) -> tuple[Departure, ...]:
    """How so many images of Stanford Dogs, and so many of these to test on, differ from the deck's."""
    split = Departure(
        topic="split",
        sentence=f"Tested on {test_images:,} images; the deck on {TEST_IMAGES:,}, and it is not known on which.",
    )
    if images == IMAGES:
        return (split,)
    return (Departure(topic="images", sentence=f"{images:,} images; {DATA} has {IMAGES:,}."), split)


def _of_network(card: Card) -> Iterator[Departure]:
    published = find_published(card)
    if published is None:
        yield Departure(topic="network", sentence=f"The deck's networks were {RESNET.network} and {VIT.network}.")
    elif card.name in published.cards:
        return
    elif card.name.partition(".")[0] == published.cards[0].partition(".")[0]:
        file = ", a local file that Vitrail does not know," if is_unknown_file(card) else ""
        yield Departure(
            topic="weights",
            sentence=f"The weights{file} are not the deck's, whose {published.network} was {_origin(published)}.",
        )
    else:
        yield Departure(topic="network", sentence=f"The deck's network of this kind was {published.network}.")


def _origin(published: Published) -> str:
    return "AugReg's" if published is VIT else "Keras's"


def _of_pixels(card: Card) -> Iterator[Departure]:
    prepared, published = card.preprocessing, find_published(card)
    shape = "squashed to" if prepared.resize_rule == "squash" else "resized to"
    side = f"{shape} {prepared.resize} and cropped to {prepared.crop}, {prepared.interpolation}, as the card says"
    normal = f"normalised with {_three(prepared.mean)} and {_three(prepared.std)}"
    if published is VIT and (prepared.mean, prepared.std) != ((0.5,) * 3, (0.5,) * 3):
        sentence = f"Pixels are {side}, and {normal}; the deck's ViT, AugReg's, takes 0.5 and 0.5."
    elif published is RESNET and prepared.channels != "BGR":
        sentence = (
            f"Pixels are {side}, RGB {normal}; the deck's ResNet50 was Keras's, which takes BGR from 0 to 255 minus "
            "ImageNet's mean."
        )
    else:
        sentence = f"Pixels are {side}; how the deck resized is not known."
    yield Departure(topic="pixels", sentence=sentence)


def _three(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"
