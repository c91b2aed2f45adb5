"""Recipes: what each changes in a backbone and its search. The default recipe, which we recommend, and the deck's.

The deck compared a frozen ResNet50 with a frozen ViT-S/16 on Stanford Dogs. Its recipe, as far as it is known:
pixels equalised; ResNet50: pooling, dropout searched in [0.5, 0.8], softmax; ViT: softmax alone; RMSprop as in Keras
with a searched learning rate, minibatches of 24, early stopping; judged as trained, without a refit on val.
A third recipe is the deck's without equalising, so that a paired test can tell what that does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from vitrail.backbones import Backbone
from vitrail.candidates.deck import NOT_EQUALISED, Departure, find_departures
from vitrail.candidates.decoding import BothWays
from vitrail.core.errors import UsageError
from vitrail.search import TuneOptions

DEFAULT, DECK, DECK_NO_EQUALISE = "default", "deck", "deck-no-equalise"
RECIPES = (DEFAULT, DECK, DECK_NO_EQUALISE)
DECK_DROPOUTS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
DECK_EPOCHS = 100  # the most; early stopping ends most of them before


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
        if self.recipe == DEFAULT:
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
            rungs=(),
            refit=False,
            label_curves=False,  # not for a recipe that we do not recommend; minibatches of 24 make them slow
            splits=0,  # the same
        )

    @property
    def departures(self) -> tuple[Departure, ...]:
        """How this backbone under the deck's recipe differs from the deck; none under the default recipe."""
        if self.recipe == DEFAULT:
            return ()
        found = find_departures(self.backbone.card)
        return found if self.recipe == DECK else (*found, NOT_EQUALISED)


def check_recipes(recipes: Sequence[str]) -> None:
    """Check that each recipe is known and given once.

    Raises:
        UsageError: a recipe is unknown or given twice, or there is none.
    """
    if not recipes or len(set(recipes)) < len(recipes) or not set(recipes) <= set(RECIPES):
        raise UsageError(f"Invalid recipes {', '.join(recipes) or '(none)'}: give {say_recipes()}.")


def say_recipes() -> str:
    """What can be given as recipes: "default, deck or deck-no-equalise, each at most once"."""
    return f"{', '.join(RECIPES[:-1])} or {RECIPES[-1]}, each at most once"


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
