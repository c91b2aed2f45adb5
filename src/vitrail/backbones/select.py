"""Selects cards by licence, size and pretraining data. Imports no torch."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from vitrail.backbones.cards import Card
from vitrail.core.errors import UsageError

COMMERCIAL = "commercial"  # not a licence, but what people want from one
COUNT = re.compile(r"(\d+(?:\.\d+)?)([kmgb]?)", re.IGNORECASE)
TIMES = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}

ORDERS: dict[str, Callable[[Card], str | float]] = {
    "name": lambda card: card.name,
    "params": lambda card: card.parameters,
    "gmacs": lambda card: card.gmacs,
    "width": lambda card: card.feature_width,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a card must have to be shown; None means any.

    `licence` is the name of one, or "commercial" for all that are known to allow commercial use. A card with unknown
    pretraining data meets neither `pretrained_on` nor `not_pretrained_on`.
    `sort` is a key of ORDERS, the smallest first; None keeps the catalogue's order.
    """

    licence: str | None = None
    max_parameters: int | None = None
    max_gmacs: float | None = None
    pretrained_on: str | None = None
    not_pretrained_on: str | None = None
    sort: str | None = None


def select(cards: Iterable[Card], wanted: Wanted) -> list[Card]:
    """The cards that meet every condition, in the requested order; possibly none.

    Raises UsageError if no card has a requested value, or if the order is unknown.
    """
    cards = list(cards)
    if wanted.licence is not None and wanted.licence != COMMERCIAL:
        _require("licence", wanted.licence, [COMMERCIAL, *(card.licence for card in cards if card.licence)])
    for collection in (wanted.pretrained_on, wanted.not_pretrained_on):
        if collection is not None:
            _require("pretraining collection", collection, [name for card in cards for name in card.pretraining])
    if wanted.sort is not None:
        _require("order", wanted.sort, list(ORDERS))
    chosen = [card for card in cards if _fits(card, wanted)]
    return sorted(chosen, key=ORDERS[wanted.sort.lower()]) if wanted.sort else chosen


def parse_count(text: str) -> int:
    """A number of parameters as people write it: 30M, 1.1B, 500k, 25557032.

    Raises:
        UsageError: the text is not such a number.
    """
    match = COUNT.fullmatch(text.strip().replace("_", "").replace(",", ""))
    if match is None:
        raise UsageError(f"Write a number of parameters like 30M, 1.1B or 25557032, but {text!r} was given.")
    return round(float(match[1]) * TIMES[match[2].lower()])


def _fits(card: Card, wanted: Wanted) -> bool:
    return (
        (wanted.licence is None or _allows(card, wanted.licence.lower()))
        and (wanted.max_parameters is None or card.parameters <= wanted.max_parameters)
        and (wanted.max_gmacs is None or card.gmacs <= wanted.max_gmacs)
        and (wanted.pretrained_on is None or wanted.pretrained_on.lower() in card.pretraining)
        and (wanted.not_pretrained_on is None or _never_saw(card, wanted.not_pretrained_on.lower()))
    )


def _never_saw(card: Card, collection: str) -> bool:
    return bool(card.pretraining) and collection not in card.pretraining


def _allows(card: Card, licence: str) -> bool:
    return card.commercial == "yes" if licence == COMMERCIAL else card.licence.lower() == licence


def _require(kind: str, name: str, known: Sequence[str]) -> None:
    by_lower = {each.lower(): each for each in known}
    if name.lower() in by_lower:
        return
    nearest = get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    guess = f" Did you mean {by_lower[nearest[0]]}?" if nearest else ""
    raise UsageError(f"The catalogue has no {kind} {name!r}.{guess} Choose one of: {', '.join(by_lower.values())}.")
