"""Recipes: what each changes in a backbone and its search. The default recipe, which we recommend, and the deck's.

The deck compared a frozen ResNet50 with a frozen ViT-S/16 on Stanford Dogs. Its recipe, as far as it is known:
pixels equalised; ResNet50: pooling, dropout searched in [0.5, 0.8], softmax; ViT: softmax alone; RMSprop as in Keras
with a searched learning rate, minibatches of 24, early stopping; judged as trained, without a refit on val.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from vitrail.backbones import Backbone, Card
from vitrail.candidates.decoding import BothWays
from vitrail.core.errors import UsageError
from vitrail.search import TuneOptions

DEFAULT, DECK = "default", "deck"
RECIPES = (DEFAULT, DECK)
DECK_DROPOUTS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
DECK_EPOCHS = 100  # the most; early stopping ends nearly all of them before


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One backbone under one recipe: what is compared. Its name is the backbone's, with +recipe after the first.

    `both_ways` are images decoded whole and reduced, if that was tried.
    """

    backbone: Backbone
    recipe: str
    both_ways: BothWays | None = field(default=None, repr=False)

    def search_options(self, options: TuneOptions) -> TuneOptions:
        """The options of its search; trials, budget, metric and seed stay as given."""
        if self.recipe != DECK:
            return options
        return replace(
            options,
            kinds=("softmax",),
            scalings=("none",),
            optimisers=("rmsprop",),
            weight_decays=(0.0,),
            dropouts=(0.0,) if self.backbone.card.family == "vit" else DECK_DROPOUTS,
            batch=24,
            patience=5,
            epochs=DECK_EPOCHS,
            refit=False,
            label_curves=False,  # not for a recipe that we do not recommend; minibatches of 24 make them slow
            splits=0,  # the same
        )

    @property
    def departures(self) -> tuple[str, ...]:
        """How this run of the deck's recipe differs from the deck, one sentence each."""
        card = self.backbone.card
        return (*_of_backbone(card), *_of_pixels(card), *OF_TRAINING) if self.recipe == DECK else ()


def check_recipes(recipes: Sequence[str]) -> None:
    """Check that each recipe is known and given once.

    Raises:
        UsageError: a recipe is unknown or given twice, or there is none.
    """
    if not recipes or len(set(recipes)) < len(recipes) or not set(recipes) <= set(RECIPES):
        raise UsageError(
            f"Invalid recipes {', '.join(recipes) or '(none)'}: give {' or '.join(RECIPES)}, each at most once."
        )


def make_entries(backbones: Sequence[Backbone], recipes: Sequence[str]) -> list[Entry]:
    """Every backbone under every recipe, recipe by recipe; the first recipe's entries have the backbones' own names."""
    return [
        Entry(
            backbone=apply_recipe(
                replace(backbone, name=backbone.name if recipe == recipes[0] else f"{backbone.name}+{recipe}"), recipe
            ),
            recipe=recipe,
        )
        for recipe in recipes
        for backbone in backbones
    ]


def apply_recipe(backbone: Backbone, recipe: str) -> Backbone:
    """The backbone with the preprocessing of a recipe: the deck equalises pixels, which changes the features' key."""
    if recipe != DECK:
        return backbone
    prepared = replace(backbone.card.preprocessing, equalise=True)
    return replace(backbone, card=replace(backbone.card, preprocessing=prepared))


OF_TRAINING = (
    "The head's weights start at 0 instead of Glorot's noise; the loss is convex, so only the way to its minimum "
    "differs.",
    "Probabilities are divided by a temperature fitted out of fold, which changes the loss but no answer.",
)


def _of_backbone(card: Card) -> Iterator[str]:
    if card.family == "vit" and not card.name.startswith("vit_small_patch16_224.augreg"):
        yield "The deck's ViT was AugReg's S/16."
    if card.family != "vit" and not card.name.startswith("resnet50"):
        yield "The deck's convolutional network was a ResNet50."


def _of_pixels(card: Card) -> Iterator[str]:
    prepared = card.preprocessing
    side = f"resized to {prepared.resize} and cropped to {prepared.crop}, {prepared.interpolation}, as the card says"
    if card.family == "vit" and (prepared.mean, prepared.std) != ((0.5,) * 3, (0.5,) * 3):
        yield (
            f"Pixels are {side}, and normalised with {_three(prepared.mean)} and {_three(prepared.std)}; the deck's "
            "ViT, AugReg's, takes 0.5 and 0.5."
        )
    elif card.family != "vit" and prepared.channels != "BGR":
        yield (
            f"Pixels are {side}, RGB normalised with {_three(prepared.mean)} and {_three(prepared.std)}; the deck's "
            "ResNet50 was Keras's, which takes BGR from 0 to 255 minus ImageNet's mean, and has other weights."
        )
    else:
        yield f"Pixels are {side}; how the deck resized is not known."


def _three(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"
