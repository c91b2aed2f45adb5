"""From figures to one sentence: what to build on, how sure that is, and what would settle it.

The rule. A backbone is always picked, among the usable ones: those that are not known to have seen the test images
(`contamination.py`). Accuracy here is the deciding metric: top-1, or balanced accuracy if the user chose that
(`deciding_metric.py`). The loss of a backbone is how much less accurate it truly is than the most accurate of them. The
largest plausible loss is a bound on it; in at least 95% of draws of test images all these bounds hold, whichever
backbone is picked (Hsu's comparisons with the best, `pairs.py`).

1. The most accurate on the test images is taken if it is also the cheapest, by multiply-adds.
2. Else, of those whose largest plausible loss is below the margin, the cheapest is taken.
3. Else, of those that no other beats, the one with the smallest largest plausible loss is taken.

If several cost the same, a stated licence decides, then accuracy. The pick is `proven` if it beats all others
(`pairs.py`), `equivalent` if its largest plausible loss is below the margin, else `practical`: the test images do not
settle it, and the sentence says what may be lost and how many more images would settle it. If all test images belong to
one group, or all usable backbones saw them, every pick is practical: nothing is known about other groups or new images.

Nothing here uses the measured time of this run, so the same data and choices give the same decision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from vitrail.evaluation.deciding_metric import TOP1, DecidingMetric
from vitrail.evaluation.more_images import images_to_settle
from vitrail.evaluation.pairs import Pair, turn
from vitrail.evaluation.sentences import say_distance, say_image_range, say_names, say_p, say_points, say_share
from vitrail.statistics.intervals import Interval
from vitrail.statistics.metrics import DecideBy

Strength = Literal["proven", "equivalent", "practical"]
UNKNOWN_LICENCES = ("not stated", "unknown")
LEAST_SAID = 0.001  # "at most 0 points" would claim a lead that the intervals of the pairs do not
OTHER_GROUPS = "All test images belong to one group, so nothing is known about other groups."


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What to build on, in words.

    `strength` says how sure it is; None if there was only one backbone. `losses` has the
    largest plausible loss of each usable backbone by its name, as a fraction of the metric that decided, `decide_by`;
    it is empty if they were not compared.
    """

    sentence: str
    choose: str
    decide_by: DecideBy
    strength: Strength | None
    losses: Mapping[str, float]
    because: tuple[str, ...]
    caveats: tuple[str, ...]


def say_strength(decision: Decision) -> str:
    """How sure the pick is, in a few words: "practical: at most 2.1 points less accurate than the best"."""
    if decision.strength is None:
        return "the only backbone"
    if decision.strength == "proven":
        return "proven: it beats all others"
    if decision.choose not in decision.losses:
        return f"{decision.strength}: not compared with the others"
    loss = DecidingMetric(name=decision.decide_by).say_less(max(LEAST_SAID, decision.losses[decision.choose]))
    return f"{decision.strength}: at most {loss} the best"


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """One backbone as the decision sees it: only accuracy, cost and licence of its `Contestant`.

    `gmacs` are 1e9 multiply-adds an image. `accuracy` is the metric that decides; the intervals of all contenders hold
    together.
    """

    name: str
    accuracy: Interval
    gmacs: float
    licence: str

    @property
    def rounded(self) -> float:
        """The accuracy rounded to 12 digits: equal accuracies may differ in the last digits of their sums."""
        return round(self.accuracy.value, 12)

    @property
    def licence_known(self) -> bool:
        """Whether its licence is stated; a licence that is not stated counts as no permission."""
        return bool(self.licence) and not self.licence.lower().startswith(UNKNOWN_LICENCES)

    @property
    def cost(self) -> tuple[float, bool]:
        """A sort key, cheapest first: fewer multiply-adds, then a stated licence."""
        return self.gmacs, not self.licence_known


def decide(
    contenders: Sequence[Contender],
    pairs: Sequence[Pair],
    *,
    margin: float,
    metric: DecidingMetric = TOP1,
    caveats: Sequence[str] = (),
    one_group: bool = False,
) -> Decision:
    """The decision over all usable backbones of a run.

    `margin` is the difference in accuracy, as a fraction, below which cost decides; `metric` is what accuracies and
    pairs are of; `one_group` says that all test images are in one group.
    """
    table = _Table.of(contenders, pairs, margin, metric, one_group=one_group)
    losses = {c.name: table.find_loss(c) for c in table.order} if len(table.order) > 1 else {}
    pick = _pick(table, losses)
    strength = _weigh(table, pick)
    known_caveats = list(caveats)
    if strength == "equivalent":
        known_caveats += _say_cheaper(table, pick)
    if not pick.licence_known:
        known_caveats.append(f"The licence of {pick.name} is not stated: check whether you may use it.")
    return Decision(
        sentence=_say(table, pick, strength),
        choose=pick.name,
        decide_by=metric.name,
        strength=strength,
        losses=losses,
        because=say_reasons(table.order, pairs, losses, metric),
        caveats=tuple(known_caveats),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    """All contenders, the most accurate first, and all pairs in both directions."""

    order: tuple[Contender, ...]
    pairs: Mapping[tuple[str, str], Pair]
    margin: float
    metric: DecidingMetric
    one_group: bool

    @classmethod
    def of(
        cls,
        contenders: Sequence[Contender],
        pairs: Sequence[Pair],
        margin: float,
        metric: DecidingMetric,
        *,
        one_group: bool,
    ) -> Self:
        both = {(pair.a, pair.b): pair for given in pairs for pair in (given, turn(given))}
        order = sorted(contenders, key=lambda c: (-c.rounded, c.cost, c.name))
        return cls(order=tuple(order), pairs=both, margin=margin, metric=metric, one_group=one_group)

    def find(self, a: Contender, b: Contender) -> Pair:
        """The pair of two backbones with the first as its `a`."""
        return self.pairs[a.name, b.name]

    def find_others(self, pick: Contender) -> list[Contender]:
        """All contenders except the pick, the most accurate first."""
        return [c for c in self.order if c is not pick]

    def find_rivals(self, pick: Contender) -> list[Contender]:
        """All contenders that the pick does not beat."""
        return [c for c in self.find_others(pick) if self.find(pick, c).conclusion != "a is better"]

    def find_unbeaten(self) -> list[Contender]:
        """The contenders that no other beats: the most accurate is always among them."""
        beaten = {pair.a for pair in self.pairs.values() if pair.conclusion == "b is better"}
        return [c for c in self.order if c.name not in beaten]

    def find_loss(self, contender: Contender) -> float:
        """The largest plausible loss of a contender against whichever other is the best."""
        return max(0.0, *(self.find(contender, other).loss_a for other in self.find_others(contender)))


def _pick(table: _Table, losses: Mapping[str, float]) -> Contender:
    leader = table.order[0]
    if leader.cost == min(c.cost for c in table.order):
        return leader
    within = [c for c in table.order if losses[c.name] < table.margin]
    if within:
        return min(within, key=lambda c: (c.cost, -c.rounded, c.name))
    # Rounded, so that cost decides between bounds that differ in their last digits only.
    return min(table.find_unbeaten(), key=lambda c: (round(losses[c.name], 9), c.cost, -c.rounded, c.name))


def _weigh(table: _Table, pick: Contender) -> Strength | None:
    if len(table.order) == 1:
        return None
    if table.one_group:
        return "practical"
    if not table.find_rivals(pick):
        return "proven"
    return "equivalent" if table.find_loss(pick) < table.margin else "practical"


def _say(table: _Table, pick: Contender, strength: Strength | None) -> str:
    if strength is None:
        return f"{pick.name} reaches {table.metric.say_of_images(pick.accuracy)}."
    if table.find_rivals(pick) and table.find_loss(pick) >= table.margin:
        return _say_practical(table, pick)
    sentence = _say_within_margin(table, pick) if table.find_rivals(pick) else _say_best(table, pick)
    return f"{sentence} {OTHER_GROUPS}" if table.one_group else sentence


def _say_best(table: _Table, pick: Contender) -> str:
    others = table.find_others(pick)
    lead = f"{others[0].name} by {table.metric.say_lead(table.find(pick, others[0]).difference)}"
    more = len(others) - 1
    rest = "" if more == 0 else f", and {others[1].name} too" if more == 1 else f", and {more:,} others too"
    return f"{pick.name} beats {lead}{rest}: take {pick.name}."


def _say_within_margin(table: _Table, pick: Contender) -> str:
    leader, rivals = table.order[0], table.find_rivals(pick)
    dearest = leader if leader is not pick else max(rivals, key=lambda c: c.gmacs)
    share = say_share(pick.gmacs, dearest.gmacs)
    cost = "costs the same" if share == "as much as" else f"costs {share} {dearest.name}'s multiply-adds"
    take = f"take {pick.name}."
    peers = [c for c in table.order if c is pick or c in rivals]
    pairs = [table.find(peer, other) for i, peer in enumerate(peers) for other in peers[i + 1 :]]
    inside = all(-table.margin < p.difference.low and p.difference.high < table.margin for p in pairs)
    if inside and not table.one_group:
        names = say_names([c.name for c in peers], most=6)
        within = f"{say_distance(table.margin)}{table.metric.unit}"
        return f"{names} are equivalent within {within}; {pick.name} {cost}: {take}"
    loss = f"it is at most {_say_loss(table, pick)}"
    if pick is leader:
        return f"{_say_leads(table, pick)}; {loss}: {take}"
    return f"{pick.name} {cost}, and {loss}: {take}"


def _say_practical(table: _Table, pick: Contender) -> str:
    others = table.find_others(pick)
    reasons = []
    if all(c.rounded < pick.rounded for c in others):
        reasons.append(f"{table.metric.most} here")
    if all(c.gmacs > pick.gmacs for c in others):
        reasons.append("the cheapest")
    loss = table.find_loss(pick)
    if not reasons and all(table.find_loss(c) > loss for c in others):
        reasons.append("the one with the smallest possible loss")
    why = f", {say_names(reasons)}" if reasons else ""
    end = f"{_say_more_images(table, pick, others)} would settle it, depending on how large the difference really is."
    return (
        f"{_say_leads(table, pick)}, too close to call. Take {pick.name}{why}: it is at most {_say_loss(table, pick)}. "
        f"{OTHER_GROUPS if table.one_group else end[:1].upper() + end[1:]}"
    )


def _say_loss(table: _Table, pick: Contender) -> str:
    """The largest plausible loss, against the only rival or whichever is the best."""
    rivals = table.find_rivals(pick)
    loss = table.metric.say_less(max(LEAST_SAID, table.find_loss(pick)))
    return f"{loss} {rivals[0].name if len(rivals) == 1 else 'the best of them'}"


def _say_leads(table: _Table, pick: Contender) -> str:
    """By how much the most accurate leads those that it does not beat; the sentence always names the pick."""
    best, rivals = table.order[0], table.find_rivals(table.order[0])
    if rivals and all(c.rounded == best.rounded for c in rivals):
        names = say_names([best.name, *(c.name for c in rivals)], most=6)
        return f"{names} are tied at {table.metric.say_reached(best.accuracy)}"
    named = rivals[:3]
    if pick in rivals[3:]:
        named[2] = pick
    leads = [f"{c.name} by {say_points(table.find(best, c).difference)}" for c in named]
    leads[0] += table.metric.unit
    if len(rivals) > 3:
        leads.append(f"{len(rivals) - 3:,} more")
    return f"{best.name} leads {say_names(leads)}"


def _say_cheaper(table: _Table, pick: Contender) -> list[str]:
    """The cheaper backbones that were not picked although nothing shows that they are worse."""
    cheaper = [c for c in table.find_rivals(pick) if c.gmacs < pick.gmacs]
    return [
        f"{c.name} costs less, but may be up to {table.metric.say_less(table.find_loss(c))} the best: "
        f"{_say_more_images(table, c, table.find_others(c))} would settle it."
        for c in cheaper
    ]


def _say_more_images(table: _Table, pick: Contender, others: Sequence[Contender]) -> str:
    pairs = [table.find(pick, other) for other in others]
    return say_image_range(
        *images_to_settle(pairs, margin=table.margin, tests=len(table.pairs) // 2, backbones=len(table.order))
    )


def say_reasons(
    contenders: Sequence[Contender], pairs: Sequence[Pair], losses: Mapping[str, float], metric: DecidingMetric
) -> tuple[str, ...]:
    """Accuracy, largest plausible loss, cost and licence of each, and the leads of the first, the most accurate."""
    leader = contenders[0].name
    lines = [_say_contender(c, losses.get(c.name), metric) for c in contenders]
    return (*lines, *(_say_pair(pair) for pair in pairs if leader in (pair.a, pair.b)))


def _say_contender(c: Contender, loss: float | None, metric: DecidingMetric) -> str:
    licence = c.licence if c.licence_known else "licence not stated"
    below = "" if not loss else f", at most {say_distance(max(LEAST_SAID, loss))} below the best"
    rate = metric.say_short(c.accuracy)
    return f"{c.name}: {rate}{below}, {c.gmacs:.3g} G multiply-adds an image, {licence}"


def _say_pair(pair: Pair) -> str:
    lead = pair if pair.difference.value >= 0 else turn(pair)
    return (
        f"{lead.a} minus {lead.b}: {say_points(lead.difference)}; only {lead.a} is right on {lead.only_a:,} images, "
        f"only {lead.b} on {lead.only_b:,}; {say_p(lead.adjusted_p)}, corrected for all pairs"
    )
