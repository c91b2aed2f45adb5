"""From figures to one sentence: what to build on, why, and what the figures cannot carry.

The rule. A backbone is out where the most accurate one beats it (McNemar's exact test after Holm's correction, and the
paired interval excludes zero) by what may be the margin or more; the others are rivals. A rival is safe where a loss of
the margin or more is excluded against every other rival: by the paired interval, and by one-sided tests after Holm's
correction over all backbones, since one of many may look safe by luck.

1. One rival is left: it is taken, for its accuracy.
2. Some rival is safe: the cheapest safe one is taken, by multiply-adds; equal costs are decided by a stated licence,
   then by accuracy.
3. But where a cheaper rival is open, neither safe nor out, and the choice would fall on the most accurate or on one
   less accurate than it, it is too close to tell; so it is where no rival is safe. The sentence says how many more test
   images would tell.

Where all test images are of one group none of several rivals is safe: that a loss is excluded in one film says nothing
of the next.

Nothing here is measured on this run's clock, so the same data and choices give the same decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vitrail.evaluation.sentences import (
    say_distance,
    say_more_images,
    say_names,
    say_p,
    say_points,
    say_rate,
    say_share,
)
from vitrail.statistics.intervals import Interval
from vitrail.statistics.paired import holm, images_for_margin, images_needed, noninferiority_p

Conclusion = Literal["a is better", "b is better", "equivalent", "undecided"]
UNKNOWN_LICENCES = ("not stated", "unknown")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two backbones on the same test images: `difference` is top-1 of `a` minus top-1 of `b`.

    `only_a` images were right with `a` alone. `mcnemar_p` is exact and `holm_p` adjusted over all pairs of the run;
    `equivalence_p` is of two one-sided tests that the difference is the margin or more. Where images come in groups,
    `design_effect` of them tell as much of the difference as one independent image would, and `mcnemar_p` is
    Obuchowski's test. `visible` is the least difference that so many images with so much discordance show four times
    out of five, after Holm's correction at its strictest.
    """

    a: str
    b: str
    difference: Interval
    only_a: int
    only_b: int
    mcnemar_p: float
    holm_p: float
    equivalence_p: float
    conclusion: Conclusion
    design_effect: float
    visible: float

    def loss_p(self, margin: float) -> float:
        """The p value that `a` is less accurate than `b` by the margin or more."""
        scale = 1 / self.design_effect
        return noninferiority_p(self.only_a * scale, self.only_b * scale, self.difference.n * scale, margin)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What to build on, in words. `choose` is None if the test images cannot decide."""

    sentence: str
    choose: str | None
    because: tuple[str, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """One backbone as the decision sees it: accuracy, cost and licence, and nothing else of its `Contestant`.

    `gmacs` are 1e9 multiply-adds an image.
    """

    name: str
    top1: Interval
    gmacs: float
    licence: str

    @property
    def licence_known(self) -> bool:
        """Whether its licence is stated; what is not stated counts as not allowed."""
        return bool(self.licence) and not self.licence.lower().startswith(UNKNOWN_LICENCES)


def conclude(difference: Interval, holm_p: float, margin: float) -> Conclusion:
    """What one pair says: a test that survives all tests of the run, or an interval within the margin, or neither."""
    if holm_p < 1 - difference.level and difference.low > 0:
        return "a is better"
    if holm_p < 1 - difference.level and difference.high < 0:
        return "b is better"
    return "equivalent" if -margin < difference.low and difference.high < margin else "undecided"


def decide(
    contenders: Sequence[Contender],
    pairs: Sequence[Pair],
    *,
    margin: float,
    caveats: Sequence[str] = (),
    one_group: bool = False,
) -> Decision:
    """The decision over all backbones of a run.

    `margin` is the difference in accuracy, as a fraction, below which cost decides; `one_group` says that all test
    images are in one group.
    """
    order = sorted(contenders, key=lambda c: (-c.top1.value, c.gmacs, c.name))
    table = _Table(order=tuple(order), pairs=tuple(pairs), margin=margin, one_group=one_group)
    best, rivals = order[0], table.rivals()
    safe = table.safe(rivals)
    chosen = min(safe, key=lambda c: (c.gmacs, not c.licence_known, -c.top1.value, c.name)) if safe else None
    cheaper = [c for c in rivals if chosen and c.gmacs < chosen.gmacs]
    known_caveats = list(caveats)
    if len(order) == 1:
        sentence = f"{best.name} reaches {say_rate(best.top1)} of {best.top1.n:,} test images."
    elif len(rivals) == 1:
        sentence = _say_best(table)
    elif chosen is None or any(chosen is best or c.top1.value >= chosen.top1.value for c in cheaper):
        chosen, sentence = None, _say_too_close(table, rivals)
    else:
        sentence = _say_by_cost(table, chosen, rivals)
        if cheaper:
            known_caveats.append(
                f"{say_names([c.name for c in cheaper])} would cost less still, but whether at a loss below "
                f"{say_distance(margin)} is too close to tell; {_more_images(table, chosen, cheaper)} would."
            )
    if chosen and not chosen.licence_known:
        known_caveats.append(f"The licence of {chosen.name} is not stated: find out whether you may use it.")
    because = tuple(_say_contender(c) for c in order) + tuple(_say_pair(p) for p in pairs if best.name in (p.a, p.b))
    return Decision(
        sentence=sentence, choose=chosen.name if chosen else None, because=because, caveats=tuple(known_caveats)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    """All contenders, the most accurate first, and all pairs."""

    order: tuple[Contender, ...]
    pairs: tuple[Pair, ...]
    margin: float
    one_group: bool

    def find(self, a: Contender, b: Contender) -> Pair:
        """The pair of two backbones with the first as its `a`."""
        for pair in self.pairs:
            if (pair.a, pair.b) == (a.name, b.name):
                return pair
            if (pair.b, pair.a) == (a.name, b.name):
                return turn(pair)
        raise KeyError(f"no pair of {a.name} and {b.name}")

    def rivals(self) -> list[Contender]:
        """The most accurate and all it does not beat by what may be the margin or more."""
        best = self.order[0]
        kept = [best]
        for other in self.order[1:]:
            pair = self.find(best, other)
            if pair.conclusion != "a is better" or pair.difference.high < self.margin:
                kept.append(other)
        return kept

    def safe(self, rivals: Sequence[Contender]) -> list[Contender]:
        """The rivals that lose less than the margin, whichever rival is truly the best."""
        if self.one_group and len(rivals) > 1:
            return []
        p_values = []
        for rival in rivals:
            pairs = [self.find(rival, other) for other in rivals if other is not rival]
            p_values.append(max((pair.loss_p(self.margin) for pair in pairs), default=0.0))
        out = [1.0] * (len(self.order) - len(rivals))
        kept = []
        for rival, p_value in zip(rivals, holm(p_values + out), strict=False):
            lows = [self.find(rival, other).difference.low for other in rivals if other is not rival]
            if p_value < 1 - rival.top1.level and all(low > -self.margin for low in lows):
                kept.append(rival)
        return kept


def turn(pair: Pair) -> Pair:
    """The same pair with the other backbone first."""
    d = pair.difference
    turned: dict[Conclusion, Conclusion] = {"a is better": "b is better", "b is better": "a is better"}
    return replace(
        pair,
        a=pair.b,
        b=pair.a,
        difference=Interval(
            value=0.0 - d.value, low=0.0 - d.high, high=0.0 - d.low, level=d.level, method=d.method, n=d.n
        ),
        only_a=pair.only_b,
        only_b=pair.only_a,
        conclusion=turned.get(pair.conclusion, pair.conclusion),
    )


def _say_best(table: _Table) -> str:
    best, second = table.order[:2]
    lead = f"{second.name} by {say_points(table.find(best, second).difference)}"
    others = len(table.order) - 2
    more = "" if others == 0 else f", and {table.order[2].name} too" if others == 1 else f", and {others:,} others too"
    return f"{best.name} beats {lead}{more}: take {best.name}."


def _say_by_cost(table: _Table, chosen: Contender, rivals: Sequence[Contender]) -> str:
    best = rivals[0]
    others = [c for c in rivals if c is not chosen]
    dearest = best if chosen is not best else max(others, key=lambda c: c.gmacs)
    share = say_share(chosen.gmacs, dearest.gmacs)
    cost = "costs the same" if share == "as much as" else f"costs {share} {dearest.name}'s multiply-adds"
    pairs = [table.find(rival, other).difference for i, rival in enumerate(rivals) for other in rivals[i + 1 :]]
    if all(-table.margin < d.low and d.high < table.margin for d in pairs):
        names = say_names([c.name for c in rivals], most=6)
        return f"{names} are equivalent within {say_distance(table.margin)}; {chosen.name} {cost}: take {chosen.name}."
    low = min(table.find(chosen, other).difference.low for other in others)
    names = say_names([c.name for c in others], most=6)
    # Never "at most 0 points": that would claim a lead that Holm's correction did not leave.
    loss = f"loses at most {say_distance(max(0.001, -low))} to {'any of ' if len(others) > 1 else ''}{names}"
    return f"{chosen.name} {loss}, and {cost}: take {chosen.name}."


def _say_too_close(table: _Table, rivals: Sequence[Contender]) -> str:
    best, others = rivals[0], rivals[1:]
    more = f"too close to tell; {_more_images(table, best, others)} would."
    if all(c.top1.value == best.top1.value for c in others):
        return f"{say_names([c.name for c in rivals], most=6)} are level at {say_rate(best.top1)}, {more}"
    leads = [f"{c.name} by {say_points(table.find(best, c).difference)}" for c in others[:3]]
    if len(others) > 3:
        leads.append(f"{len(others) - 3:,} more")
    return f"{best.name} leads {say_names(leads)}, {more}"


def _more_images(table: _Table, best: Contender, others: Sequence[Contender]) -> str:
    """Images until every open pair is settled: the difference seen, or the loss of taking the cheaper excluded."""
    if table.one_group:
        return "test images of other groups"
    pairs = [(other, table.find(best, other)) for other in others]
    open_pairs = [(other, pair) for other, pair in pairs if pair.conclusion != "equivalent"] or pairs
    most = 0.0
    for other, pair in open_pairs:
        n, alpha, lead = pair.difference.n, 1 - pair.difference.level, pair.difference.value
        # Two pseudo-examples of discordance: none seen in few images does not mean none to come.
        discordance = (pair.only_a + pair.only_b + 2) / (n + 2)
        loss = lead if other.gmacs <= best.gmacs else -lead
        settled = min(
            images_needed(lead, discordance, alpha=alpha / len(table.pairs)),
            images_for_margin(loss, discordance, table.margin, alpha=min(alpha, 2 * alpha / len(table.order))),
        )
        most = max(most, pair.design_effect * settled - n)
    return say_more_images(most)


def _say_contender(c: Contender) -> str:
    licence = c.licence if c.licence_known else "licence not stated"
    return f"{c.name}: {say_rate(c.top1)} of test images, {c.gmacs:.3g} G multiply-adds an image, {licence}"


def _say_pair(pair: Pair) -> str:
    lead = pair if pair.difference.value >= 0 else turn(pair)
    return (
        f"{lead.a} minus {lead.b}: {say_points(lead.difference)}; {lead.only_a:,} images right with {lead.a} alone, "
        f"{lead.only_b:,} with {lead.b} alone; {say_p(lead.holm_p)} after Holm's correction"
    )
