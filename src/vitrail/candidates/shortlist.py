"""Candidates from the catalogue when nobody names a backbone: by stated rules, from the facts on the cards alone.

1. A card is eligible if it meets the conditions and its weights are published or were given: the embedded ones are for
   trials.
2. Cards that share their weights differ in input size only; the one with the fewest multiply-adds takes part.
3. A lineage is what shares kind of pretraining, network family and form, and pretraining data; its cards differ in
   size. The largest comes first, then the smallest, then the others from large to small.
4. Kinds of pretraining take turns: supervised, self-supervised, image-text. In a kind families take turns, and in a
   family lineages. Those that have seen more than ImageNet-1k come first, then the catalogue's order decides.

Without conditions networks are at most as large as a ViT-B at its usual input size.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal, TypeVar

from vitrail.backbones.cards import Card
from vitrail.backbones.opening import EMBEDDED
from vitrail.backbones.select import Wanted, select
from vitrail.core.errors import UsageError

CANDIDATES = 12
MOST_PARAMETERS, MOST_GMACS = 100_000_000, 30.0  # what B-sized networks stay below
IMAGE_TEXT = frozenset({"wit-400m", "laion-400m", "laion-2b", "laion-5b", "datacomp-1b", "merged-2b", "webli"})
SMALL_DATA = {"imagenet-1k"}  # however many trainings a card lists on it
NOT_A_FORM = frozenset({"size", "patch", "depth", "stored"})  # keys of a variant in which cards of a lineage differ

PretrainingKind = Literal["supervised", "self-supervised", "image-text"]
KINDS: tuple[PretrainingKind, ...] = ("supervised", "self-supervised", "image-text")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShortlistOptions:
    """What people may say about the candidates of a run that names none.

    `max_ms` is the most milliseconds that an image may take on this machine (`speed_limit.py`). `race_budget` is the
    most that their race may take, as a share of everyone's multiply-adds (`race.py`).
    """

    wanted: Wanted = field(default_factory=Wanted)
    candidates: int = CANDIDATES
    max_ms: float | None = None
    race_budget: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """A card of the shortlist; `reason` says what it stands for."""

    card: Card
    kind: PretrainingKind
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortlist:
    """The picks, in the order in which they were made, from so many eligible cards; `rule` is a sentence."""

    picks: tuple[Pick, ...]
    eligible: int
    rule: str

    @property
    def cards(self) -> tuple[Card, ...]:
        """The cards of the picks."""
        return tuple(pick.card for pick in self.picks)


def make_shortlist(
    cards: Iterable[Card], wanted: Wanted, *, candidates: int = CANDIDATES, first: Collection[str] = ()
) -> Shortlist:
    """Choose candidates.

    Args:
        cards: the catalogue.
        wanted: conditions; without `max_parameters` and `max_gmacs` sizes up to B.
        candidates: their number; fewer if fewer cards are eligible.
        first: the names of cards that come before all others if they are eligible.

    Raises:
        UsageError: no card meets the conditions, or fewer than one candidate is wanted.
    """
    if candidates < 1:
        raise UsageError(f"A shortlist needs at least one candidate, but {candidates} were asked for.")
    if wanted.max_parameters is None and wanted.max_gmacs is None:
        wanted = replace(wanted, max_parameters=MOST_PARAMETERS, max_gmacs=MOST_GMACS)
    available = [card for card in cards if _is_published(card) or card.name in first]
    eligible = _drop_other_input_sizes(select(available, wanted))
    if not eligible:
        raise UsageError("No backbone of the catalogue meets all conditions: leave one out, or allow larger networks.")
    turns = [_take_turns([list(_order_lineages(family)) for family in _families(kind, eligible)]) for kind in KINDS]
    chosen = sorted(_take_turns(turns), key=lambda card: card.name not in first)[:candidates]
    return Shortlist(
        picks=tuple(
            Pick(card=card, kind=kind_of(card), reason=_explain(card, chosen[:place]))
            for place, card in enumerate(chosen)
        ),
        eligible=len(eligible),
        rule=_say_rule(wanted, len(chosen), len(eligible)),
    )


def kind_of(card: Card) -> PretrainingKind:
    """How a backbone was pretrained last: with labels, with texts, or with neither."""
    if card.labels:
        return "supervised"
    return "image-text" if IMAGE_TEXT & set(card.pretraining) else "self-supervised"


def _drop_other_input_sizes(cards: Sequence[Card]) -> list[Card]:
    """Of cards that share weights the one with the fewest multiply-adds, in the order of the cards."""
    cheapest: dict[str, Card] = {}
    for card in cards:
        known = cheapest.setdefault(_weights_of(card), card)
        if card.gmacs < known.gmacs:
            cheapest[_weights_of(card)] = card
    return [card for card in cards if cheapest[_weights_of(card)] is card]


def _is_published(card: Card) -> bool:
    return card.repository not in ("", EMBEDDED)


def _weights_of(card: Card) -> str:
    """What cards with the same weights share."""
    return card.repository if _is_published(card) else card.name


def _families(kind: PretrainingKind, cards: Sequence[Card]) -> list[list[Card]]:
    """The cards of a kind by network family."""
    by_family: dict[str, list[Card]] = {}
    for card in sorted(cards, key=lambda card: set(card.pretraining) == SMALL_DATA):
        if kind_of(card) == kind:
            by_family.setdefault(card.family, []).append(card)
    return list(by_family.values())


def _order_lineages(family: Sequence[Card]) -> Iterator[Card]:
    """The cards of a family, its lineages in turn."""
    lineages: dict[tuple[object, ...], list[Card]] = {}
    for card in family:
        lineages.setdefault(_lineage(card), []).append(card)
    yield from _take_turns([_extremes_first(lineage) for lineage in lineages.values()])


def _lineage(card: Card) -> tuple[object, ...]:
    form = tuple(sorted((key, str(value)) for key, value in card.variant.items() if key not in NOT_A_FORM))
    return kind_of(card), card.family, form, card.pretraining


def _extremes_first(lineage: Sequence[Card]) -> list[Card]:
    """The largest, the smallest, then the others from large to small."""
    falling = sorted(lineage, key=lambda card: -card.gmacs)
    return falling if len(falling) < 3 else [falling[0], falling[-1], *falling[1:-1]]


def _take_turns(rows: Sequence[Sequence[T]]) -> list[T]:
    """The first of each row, then the second of each, and so on."""
    return [row[turn] for turn in range(max(map(len, rows), default=0)) for row in rows if turn < len(row)]


def _explain(card: Card, before: Sequence[Card]) -> str:
    data = " then ".join(collection for collection, _ in groupby(card.pretraining))
    return f"{kind_of(card)} on {data or 'data that are not stated'}, {card.family}{_say_relation(card, before)}"


def _say_relation(card: Card, before: Sequence[Card]) -> str:
    """In what a card differs from those of its lineage that were chosen before."""
    lineage = [other for other in before if _lineage(other) == _lineage(card)]
    if not lineage:
        return ""
    networks = [other for other in lineage if other.variant == card.variant]
    if not networks:
        return ", another size"
    sides = [other.preprocessing.crop for other in networks]
    return ", other weights" if card.preprocessing.crop in sides else ", another input size"


def _say_rule(wanted: Wanted, chosen: int, eligible: int) -> str:
    conditions = [
        f"licence {wanted.licence}" if wanted.licence else "",
        f"at most {wanted.max_parameters / 1e6:,.4g} million parameters" if wanted.max_parameters else "",
        f"at most {wanted.max_gmacs:g} GMACs" if wanted.max_gmacs else "",
        f"pretrained on {wanted.pretrained_on}" if wanted.pretrained_on else "",
        f"not pretrained on {wanted.not_pretrained_on}" if wanted.not_pretrained_on else "",
    ]
    return (
        f"{chosen} of {eligible} eligible backbones ({', '.join(filter(None, conditions)) or 'no conditions'}): kinds "
        "of pretraining, families and pretraining data in turn, the largest and the smallest of each first."
    )
