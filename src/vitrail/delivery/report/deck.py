"""The deck's recipe and the recommended one side by side, as the deck closes: accuracy, loss and user time."""

from dataclasses import dataclass

from vitrail.candidates.recipes import DECK
from vitrail.runs import BackboneResult, Results
from vitrail.statistics.intervals import Interval

DECK_DATA, DECK_CLASSES = "Stanford Dogs", 120
# The figures of the deck itself, on 2,009 of its own test images: 1,422 and 1,624 right.
PUBLISHED = {"resnet50": 0.7078, "vit_small_patch16_224": 0.8084}


@dataclass(frozen=True, kw_only=True, slots=True)
class DeckRow:
    """One backbone under one recipe; `user_s` is CPU time of its features, when they were computed, and its search.

    `published` is what the deck printed, None if it printed nothing for this backbone or these are not its classes.
    """

    name: str
    recipe: str
    top1: Interval
    right: int
    loss: Interval
    user_s: float
    published: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Deck:
    """The table, and where each entry departs from the deck; `same_classes` says whether the deck's figures apply."""

    rows: tuple[DeckRow, ...]
    same_classes: bool
    departures: tuple[tuple[str, tuple[str, ...]], ...]


def compare_deck(results: Results) -> Deck | None:
    """The backbones that were run under the deck's recipe, with their other recipes; None if there are none."""
    decks = [result for result in results.backbones if result.recipe == DECK]
    if not decks:
        return None
    cards = {result.card.name for result in decks}
    same_classes = _has_deck_classes(results)
    rows = [_row(result, same_classes=same_classes) for result in results.backbones if result.card.name in cards]
    return Deck(
        rows=tuple(sorted(rows, key=lambda row: row.name.partition("+")[0])),
        same_classes=same_classes,
        departures=tuple((result.name, result.departures) for result in decks),
    )


def _has_deck_classes(results: Results) -> bool:
    """Whether the classes are all those of the deck's data set, by the evidence that every backbone has on it."""
    evidence = results.backbones[0].contamination.evidence
    known = any(sign.kind == "known data set" and DECK_DATA in sign.sentence for sign in evidence)
    return known and len(results.data.classes) == DECK_CLASSES


def _row(result: BackboneResult, *, same_classes: bool) -> DeckRow:
    known = result.card.name.partition(".")[0]
    return DeckRow(
        name=result.name,
        recipe=result.recipe,
        top1=result.test.top1,
        right=round(result.test.top1.value * result.test.top1.n),
        loss=result.test.nll,
        user_s=result.cost.user_s + result.search.user_s,
        published=PUBLISHED.get(known) if same_classes and result.recipe == DECK else None,
    )
