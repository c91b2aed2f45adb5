"""Every pair of backbones on the same test images: the difference, its tests, and the most that each may lose.

Readers of a ranking look at the pairs that the ranking made interesting, such as the best and the last. Intervals at
95% each do not hold for pairs that were picked because of their figures. So all intervals of a run hold together: they
are Tango's, with Bonferroni's correction over all pairs, so a reader may pick any pair. The bootstrap's max-T intervals
would be narrower, but have no width if two backbones never differ.

A backbone beats another if this interval excludes 0. Interval and p value agree: if McNemar's test, with the same
correction, does not reject, the interval is widened to include 0. The adjusted p value is the larger of this test's
p value and that of the score test which the interval inverts, times the number of pairs.

Losses are Hsu's comparisons with the best (Hsu 1984, Annals of Statistics 12:1136-1144). The best of K is one of them,
unknown but fixed, and it is compared with K - 1 others. One-sided bounds on what each other loses to it, with
Bonferroni's correction over these K - 1, hold together. Whichever is the best, no backbone then loses more to it than
the largest of its bounds against all others. That holds for all backbones at once, so it holds for any that is chosen
afterwards.

If balanced accuracy decides, images have different weights, and all of this uses the number of images of equal weight
that would give as much information (`statistics/weighted.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitrail.evaluation.contestants import Criteria
from vitrail.evaluation.deciding_metric import TOP1, DecidingMetric
from vitrail.statistics import paired
from vitrail.statistics.intervals import Interval
from vitrail.statistics.weighted import Leads

# Letters: N examples.

CAUTION = 0.9  # Tango's limits at 5% fail on one side in up to 5.5% of draws (tests/statistics)

Conclusion = Literal["a is better", "b is better", "equivalent", "undecided"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two backbones on the same test images: `difference` is `a` minus `b` in the deciding metric.

    The intervals of all pairs of a run hold together. `only_a` images were right with `a` alone; `discordance` is the
    rate of images that only one of the two gets right, each with its weight in the metric; two more are counted, so
    that it is never 0. `mcnemar_p` is for this pair alone, by the test that `mcnemar_test` names. `adjusted_p` is
    corrected for all pairs, and is below 1 - level exactly if the interval excludes 0. `equivalence_p` is from two
    one-sided tests that the difference is the margin or more. `loss_a` is the most that `a` may be less accurate than
    `b`, `loss_b` the most that `b` may be less accurate than `a`; negative if a loss is excluded. If images come in
    groups or have different weights, `design_effect` of them give as much information about the difference as one
    independent image. `visible` is the smallest difference that this number of images with this discordance shows four
    times out of five, after the correction for all pairs.
    """

    a: str
    b: str
    difference: Interval
    only_a: int
    only_b: int
    discordance: float
    mcnemar_p: float
    adjusted_p: float
    equivalence_p: float
    loss_a: float
    loss_b: float
    conclusion: Conclusion
    design_effect: float
    visible: float

    @property
    def mcnemar_test(self) -> str:
        """The test that `mcnemar_p` is from.

        With groups it is Obuchowski's. Under balanced accuracy without groups it is exact for the number of images of
        equal weight that would give as much information.
        """
        if self.design_effect == 1:
            return "McNemar's exact test"
        return "McNemar's test for images in groups or of unequal weight"


def turn(pair: Pair) -> Pair:
    """The same pair with the other backbone first."""
    d = pair.difference
    turned: dict[Conclusion, Conclusion] = {"a is better": "b is better", "b is better": "a is better"}
    return replace(
        pair,
        a=pair.b,
        b=pair.a,
        difference=replace(d, value=0.0 - d.value, low=0.0 - d.high, high=0.0 - d.low),
        only_a=pair.only_b,
        only_b=pair.only_a,
        loss_a=pair.loss_b,
        loss_b=pair.loss_a,
        conclusion=turned.get(pair.conclusion, pair.conclusion),
    )


def conclude(difference: Interval, margin: float) -> Conclusion:
    """The conclusion from one interval: it excludes 0, or it lies within the margin, or neither.

    `margin` is a fraction. An interval that does both counts as excluding 0.
    """
    if difference.low > 0:
        return "a is better"
    if difference.high < 0:
        return "b is better"
    return "equivalent" if -margin < difference.low and difference.high < margin else "undecided"


def number_groups(groups: Mapping[str, str], test_ids: Sequence[str]) -> NDArray[np.int64] | None:
    """The group of each test image as a number; None if no group has two images, or if all images are in one group.

    A single group does not show how groups differ: its images count as independent, and a caveat says so.
    """
    named = [("group", groups[i]) if i in groups else ("alone", i) for i in test_ids]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(named))}
    if not 1 < len(numbers) < len(test_ids):
        return None
    return np.array([numbers[name] for name in named], dtype=np.int64)


def judge_pairs(
    correct: Mapping[str, NDArray[np.bool_]],
    group_N: NDArray[np.int64] | None,
    criteria: Criteria,
    metric: DecidingMetric = TOP1,
) -> tuple[Pair, ...]:
    """Compare every backbone with every later one; the intervals hold together.

    Args:
        correct: whether each backbone is right on each test image.
        group_N: the number of each image's group; None if images are independent.
        criteria: its level and margin.
        metric: what they are compared by.
    """
    names = list(correct)
    return judge_these(correct, list(combinations(names, 2)), group_N, criteria, metric)


def judge_these(
    correct: Mapping[str, NDArray[np.bool_]],
    places: Sequence[tuple[str, str]],
    group_N: NDArray[np.int64] | None,
    criteria: Criteria,
    metric: DecidingMetric = TOP1,
) -> tuple[Pair, ...]:
    """The same for only the pairs of names in `places`; intervals and p values are corrected for these pairs."""
    family = Family(pairs=len(places), backbones=len(correct), criteria=criteria)
    weight_N = metric.weigh(len(next(iter(correct.values()))))
    return tuple(
        judge_pair(a, b, Leads.of(correct[a].astype(np.int64) - correct[b], group_N, weight_N), family)
        for a, b in places
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """The claims that must hold together: how many pairs, of how many backbones, at which level."""

    pairs: int
    backbones: int
    criteria: Criteria

    @property
    def pair_level(self) -> float:
        """The level of one pair's interval at which those of all pairs hold together."""
        return 1 - (1 - self.criteria.level) / self.pairs

    @property
    def loss_level(self) -> float:
        """The level of a two-sided interval whose upper limit is a bound on the loss to the best.

        At levels of 0.5 and less a one-sided bound would lie below the value itself, so a wider one is used.
        """
        alpha = CAUTION * (1 - self.criteria.level)
        return max(1 - 2 * alpha / max(1, self.backbones - 1), min(self.criteria.level, 0.5))


def judge_pair(a: str, b: str, leads: Leads, family: Family) -> Pair:
    """Compare two backbones, as one pair of a family."""
    level, margin, n = family.criteria.level, family.criteria.margin, len(leads.lead_N)
    exact_p, score_p = leads.p_values()
    adjusted_p = min(1.0, family.pairs * max(exact_p, score_p))
    counts = leads.counts(family.pair_level)
    difference = paired.paired_difference(*counts, family.pair_level)
    if adjusted_p >= 1 - level:
        difference = replace(difference, low=min(difference.low, 0.0), high=max(difference.high, 0.0))
    together = f"{difference.method}, bonferroni over {family.pairs} pairs" if family.pairs > 1 else difference.method
    difference = replace(difference, n=n, level=level, method=together)
    bounds = paired.paired_difference(*leads.counts(family.loss_level), family.loss_level)
    return Pair(
        a=a,
        b=b,
        difference=difference,
        only_a=int((leads.lead_N == 1).sum()),
        only_b=int((leads.lead_N == -1).sum()),
        discordance=leads.discordance,
        mcnemar_p=exact_p,
        adjusted_p=adjusted_p,
        equivalence_p=paired.equivalence_p(*leads.counts(level), margin),
        loss_a=0.0 - bounds.low,
        loss_b=bounds.high,
        conclusion=conclude(difference, margin),
        design_effect=n / counts[2],
        visible=paired.visible_difference(leads.discordance, counts[2], alpha=1 - family.pair_level),
    )
