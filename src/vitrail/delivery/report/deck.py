"""The closing table of the deck: each network as the deck printed it, and beside it what was measured here.

The page, the terminal and JSON show the same record. Accuracy, loss and user time are what the deck closes with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vitrail.candidates import deck
from vitrail.candidates.deck import Departure, Published
from vitrail.candidates.recipes import DECK, DECK_NO_EQUALISE
from vitrail.evaluation import Pair, turn
from vitrail.evaluation.contamination import mark
from vitrail.evaluation.sentences import say_distance, say_names, say_p, say_points
from vitrail.runs import BackboneResult, Results
from vitrail.statistics.intervals import Interval, wilson

RECIPES = (DECK, DECK_NO_EQUALISE)  # in the order of the rows; the recipes of Vitrail follow


@dataclass(frozen=True, kw_only=True, slots=True)
class DeckRow:
    """One backbone under one recipe; `user_s` is CPU time of its features, when they were computed, and its search."""

    name: str
    recipe: str
    top1: Interval
    right: int
    loss: Interval
    user_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """What the deck printed of its network; the interval is Wilson's, from the deck's counts."""

    network: str
    top1: Interval
    right: int
    user_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DeckNetwork:
    """One backbone under every recipe of the run, with the row of the deck's network of its kind.

    `published` is None on other images than the deck's, and for networks of other kinds. `departures` are those of the
    deck's recipe. `equalise` compares it with the same recipe without equalising, as `a` and `b`, and
    `equalise_sentence` says the same; None and "" if that recipe was not run.
    """

    name: str
    published: PublishedRow | None
    rows: tuple[DeckRow, ...]
    departures: tuple[Departure, ...]
    equalise: Pair | None
    equalise_sentence: str

    @property
    def topics(self) -> tuple[str, ...]:
        """What it differs from the deck in, each in one word."""
        return tuple(dict.fromkeys(departure.topic for departure in self.departures))


@dataclass(frozen=True, kw_only=True, slots=True)
class Deck:
    """The table; `same_classes` says whether the deck's figures apply, and `contamination` who saw the test images."""

    networks: tuple[DeckNetwork, ...]
    same_classes: bool
    contamination: str


def compare_deck(results: Results) -> Deck | None:
    """The backbones that were run under the deck's recipe, with their other recipes; None if there are none."""
    decks = [result for result in results.backbones if result.recipe == DECK]
    if not decks:
        return None
    same_classes = _has_deck_classes(results)
    return Deck(
        networks=tuple(_compare_network(result, results, same_classes=same_classes) for result in decks),
        same_classes=same_classes,
        contamination=_say_contamination(decks, same_classes=same_classes),
    )


def _has_deck_classes(results: Results) -> bool:
    """Whether the classes are all those of the deck's data set, by the evidence that every backbone has on it."""
    evidence = results.backbones[0].contamination.evidence
    known = any(sign.kind == "known data set" and deck.DATA in sign.sentence for sign in evidence)
    return known and len(results.data.classes) == deck.CLASSES


def _compare_network(result: BackboneResult, results: Results, *, same_classes: bool) -> DeckNetwork:
    same_card = [other for other in results.backbones if other.card.name == result.card.name]
    published = deck.find_published(result.card) if same_classes else None
    images = sum(sum(classes.values()) for classes in results.data.counts.values())
    of_data = (
        deck.find_data_departures(images=images, test_images=result.test.top1.n)
        if same_classes
        else (deck.OTHER_IMAGES,)
    )
    pair = _find_pair(result, same_card, results.pairs)
    return DeckNetwork(
        name=result.name,
        published=None if published is None else _publish(published, results.options.level),
        rows=tuple(map(_measure, sorted(same_card, key=_place))),
        departures=(*result.departures, *of_data),
        equalise=pair,
        equalise_sentence="" if pair is None else _say_equalise(pair, results),
    )


def _place(result: BackboneResult) -> int:
    return RECIPES.index(result.recipe) if result.recipe in RECIPES else len(RECIPES)


def _publish(published: Published, level: float) -> PublishedRow:
    return PublishedRow(
        network=published.network,
        top1=wilson(published.right, deck.TEST_IMAGES, level),
        right=published.right,
        user_s=published.user_s,
    )


def _measure(result: BackboneResult) -> DeckRow:
    return DeckRow(
        name=result.name,
        recipe=result.recipe,
        top1=result.test.top1,
        right=round(result.test.top1.value * result.test.top1.n),
        loss=result.test.nll,
        user_s=result.cost.user_s + result.search.user_s,
    )


def _find_pair(result: BackboneResult, same_card: Sequence[BackboneResult], pairs: Sequence[Pair]) -> Pair | None:
    """The deck's recipe against the same without equalising."""
    without = next((other.name for other in same_card if other.recipe == DECK_NO_EQUALISE), None)
    pair = next((pair for pair in pairs if {pair.a, pair.b} == {result.name, without}), None)
    return pair if pair is None or pair.a == result.name else turn(pair)


def _say_equalise(pair: Pair, results: Results) -> str:
    rate = "accurate" if results.options.decide_by == "top1" else "accurate in the mean of the classes"
    match pair.conclusion:
        case "a is better":
            effect = f"Equalising makes {pair.a} more {rate}, by {say_points(pair.difference)}"
        case "b is better":
            effect = f"Equalising makes {pair.a} less {rate}, by {say_points(turn(pair).difference)}"
        case "equivalent":
            margin = say_distance(results.options.margin)
            effect = f"Equalising changes {pair.a} by less than {margin}: {say_points(pair.difference)}"
        case "undecided":
            effect = f"These images do not tell what equalising does to {pair.a}: {say_points(pair.difference)}"
    pairs = len(results.pairs)
    corrected = f", corrected for {pairs} pairs {say_p(pair.adjusted_p)}" if pairs > 1 else ""
    return (
        f"{effect}. Test images that are right only with it: {pair.only_a:,}; only without it: {pair.only_b:,} "
        f"({say_p(pair.mcnemar_p)} by {pair.mcnemar_test}{corrected})."
    )


def _say_contamination(decks: Sequence[BackboneResult], *, same_classes: bool) -> str:
    """Who saw the test images in pretraining, in one sentence."""
    said: dict[str, list[str]] = {}
    for result in decks:
        said.setdefault(_say_sighting(result), []).append(result.name)
    clauses = [f"{say_names(names)} {what}" for what, names in said.items()]
    if any(mark(result.contamination) for result in decks):
        clauses.append("so these accuracies may come from memory")
    if same_classes:
        clauses.append(f"and the deck's networks had seen theirs, since {deck.DATA} was cut from ImageNet")
    return f"{', '.join(clauses)}."


def _say_sighting(result: BackboneResult) -> str:
    marked = mark(result.contamination)
    if marked:
        return f"{marked} in pretraining"
    match result.contamination.verdict:
        case "cannot tell":
            return "may have seen the test images in pretraining, which Vitrail cannot tell"
        case "not seen":
            return "did not see the test images in pretraining, as far as is known"
    return "showed no sign of having seen the test images in pretraining"
