"""The race: candidates leave on subsets of the training images if they are not going to be the best by the margin.

Each candidate answers the images of a few looks, each of which contains the one before. At a look a candidate is
compared with its leader, the most accurate candidate of its heat. It leaves if

    bound + allowance < margin,

where `bound` is Tango's upper limit for its lead over the leader at this look, with Bonferroni's correction over all
ordered pairs of a heat and all looks at which candidates may leave, so that all bounds of a race hold together,
whoever leads and whenever a candidate leaves. The level is nominal: `race_judge.py` says how well it holds. It bounds
heads that are trained on the images of the look. `allowance` is how much more the candidate may still gain on
the leader until all training images are used: the forecast gain, or as much more as takes the bound to the forecast's
upper limit (`statistics/forecast_lead.py`), or to a tie. Gaps close as both become more accurate, and on real images
most closed by more than the forecast gain, but hardly any lead changed (benchmarks/near_ties.py). A tie is below the
margin, so allowing for it keeps nobody in the race; it keeps what is said of the gain true more often. The allowance is
a forecast, and no level is promised for it. It needs two looks, so nobody leaves at the first. benchmarks/race.py has
what this costs and misses, and other allowances.

Backbones that are known to have seen the data are a heat of their own.

Letters: N images of a look.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitrail.statistics.forecast_lead import LeadForecast, forecast_lead
from vitrail.statistics.paired import paired_difference
from vitrail.statistics.weighted import Leads

FREE_LOOKS = 1  # at which nobody may leave
BEST_FEW = 3  # of a heat, that stay when the budget ends a race

Rights = Mapping[str, NDArray[np.bool_]]
Answer = Callable[[tuple[str, ...], int], Rights]
Forecast = Callable[[Sequence[NDArray[np.integer]], int, NDArray[np.int64] | None], LeadForecast]


@dataclass(frozen=True, kw_only=True, slots=True)
class RaceRules:
    """What is fixed before a race: the heat of each candidate, the sizes of the looks, and what a bound must show.

    `images` counts all training images, `sizes` those of each look; `group_N` has the group of each image of the last
    look, None if images are independent. `margin` is a fraction. `budget` is the most multiply-adds of the race, as a
    share of those of everyone's pass over the training images, and `gmacs` has the multiply-adds of an image; a race
    without a limit needs neither.
    """

    heats: Mapping[str, str]
    images: int
    sizes: tuple[int, ...]
    group_N: NDArray[np.int64] | None = field(default=None, repr=False)
    margin: float = 0.01
    level: float = 0.95
    gmacs: Mapping[str, float] = field(default_factory=dict, repr=False)
    budget: float = 1.0  # no limit: a race takes less

    @property
    def comparisons(self) -> int:
        """The number of bounds that hold together: ordered pairs times looks."""
        names = list(self.heats.values())
        pairs = sum(names.count(heat) * (names.count(heat) - 1) for heat in set(names))
        return pairs * max(0, len(self.sizes) - FREE_LOOKS)

    @property
    def bound_level(self) -> float:
        """The level of a two-sided interval whose upper limit is such a bound."""
        return 1 - 2 * (1 - self.level) / self.comparisons

    def allows(self, answered: Mapping[str, int]) -> bool:
        """Whether the budget allows a race in which candidates answer so many images."""
        if self.budget >= 1:
            return True
        spent = math.fsum(images * self.gmacs[name] for name, images in answered.items())
        return spent <= self.budget * self.images * math.fsum(self.gmacs.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class RaceDeparture:
    """A candidate that left; figures are fractions of the look's images, the candidate's minus the leader's.

    `difference` is the measured one, `bound` its upper limit, `gain` the forecast change of the difference until all
    images are used, and `allowance` what was added to the bound for what it may still gain.
    """

    name: str
    leader: str
    difference: float
    bound: float
    gain: float
    allowance: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What was seen on the first `images` of the training images: accuracies, and who left."""

    images: int
    accuracy: dict[str, float]
    departures: tuple[RaceDeparture, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Race:
    """A race that is over. `dropped` are candidates that the end of the budget dropped: nothing is known about them.

    `images` counts all training images; `by_group` says that whole groups were left out.
    """

    candidates: tuple[str, ...]
    images: int
    margin: float
    level: float
    by_group: bool
    looks: tuple[Look, ...]
    finalists: tuple[str, ...]
    dropped: tuple[str, ...]

    @property
    def departures(self) -> tuple[RaceDeparture, ...]:
        """Everyone that left, in order."""
        return tuple(departure for look in self.looks for departure in look.departures)

    def images_of(self, name: str) -> int:
        """How many training images a candidate is run on."""
        if name in self.finalists:
            return self.images
        return max(look.images for look in self.looks if name in look.accuracy)

    def share_of_cost(self, gmacs: Mapping[str, float]) -> float:
        """The multiply-adds of the race and of the finalists' pass over train, as a share of everyone's pass."""
        return sum(self.images_of(name) * gmacs[name] for name in self.candidates) / (
            self.images * sum(gmacs[name] for name in self.candidates)
        )


def run_race(rules: RaceRules, answer: Answer, *, forecast: Forecast = forecast_lead) -> Race:
    """Take the looks in order until one candidate is left in each heat, or the looks are over, or the budget.

    The first look is always taken. If the next one does not fit into the budget, the best few of each heat stay and
    the race is over; if there are no others it goes on.

    Args:
        rules: of the race.
        answer: whether each of some candidates is right on each of so many images, the first ones.
        forecast: of what a candidate still gains.
    """
    racing, dropped, looks = tuple(rules.heats), tuple[str, ...](), list[Look]()
    right: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in racing}
    answered: dict[str, int] = {}
    for images in rules.sizes:
        if _is_decided(rules, racing):
            break
        answered |= dict.fromkeys(racing, images)
        if looks and not rules.allows(answered):
            best = _best_few(rules, looks[-1], racing)
            dropped = tuple(name for name in racing if name not in best)
            if dropped:  # else all go on, and who leaves by the rule saves more
                racing = best
                break
        answers = answer(racing, images)
        for name in racing:
            right[name].append(answers[name])
        look = judge_look(rules, {name: right[name] for name in racing}, forecast)
        looks.append(look)
        gone = {departure.name for departure in look.departures}
        racing = tuple(name for name in racing if name not in gone)
    return Race(
        candidates=tuple(rules.heats),
        images=rules.images,
        margin=rules.margin,
        level=rules.level,
        by_group=rules.group_N is not None,
        looks=tuple(looks),
        finalists=racing,
        dropped=dropped,
    )


def judge_look(
    rules: RaceRules, right: Mapping[str, Sequence[NDArray[np.bool_]]], forecast: Forecast = forecast_lead
) -> Look:
    """Who leaves at a look.

    Args:
        rules: of the race.
        right: for each candidate that is still racing, whether it was right on each image, look by look up to this one.
        forecast: of what a candidate still gains.
    """
    accuracy = {name: float(looks[-1].mean()) for name, looks in right.items()}
    leaders: dict[str, str] = {}
    for name in sorted(right, key=lambda name: -accuracy[name]):  # the first given of equally accurate ones
        leaders.setdefault(rules.heats[name], name)
    departures = []
    for name, looks in right.items():
        leader = leaders[rules.heats[name]]
        if name == leader or len(looks) <= FREE_LOOKS:
            continue
        leads = [mine.astype(np.int8) - its for mine, its in zip(looks, right[leader], strict=True)]
        departure = _compare(rules, name, leader, leads, forecast)
        if departure is not None:
            departures.append(departure)
    images = len(next(iter(right.values()))[-1])
    return Look(images=images, accuracy=accuracy, departures=tuple(departures))


def _compare(
    rules: RaceRules, name: str, leader: str, leads: Sequence[NDArray[np.int8]], forecast: Forecast
) -> RaceDeparture | None:
    """The departure of a candidate with these leads over its leader at each look; None if it stays."""
    N = len(leads[-1])
    group_N = None if rules.group_N is None else rules.group_N[:N]
    ahead = forecast(leads, rules.images, group_N)
    difference = float(leads[-1].mean())
    if max(difference + max(0.0, ahead.gain), ahead.high) >= rules.margin:  # no bound lies below the difference
        return None
    counts = Leads.of(leads[-1].astype(np.int64), group_N).counts(rules.bound_level)
    bound = paired_difference(*counts, rules.bound_level).high
    allowance = max(0.0, ahead.gain, ahead.high - bound, -bound)
    if bound + allowance >= rules.margin:
        return None
    return RaceDeparture(
        name=name, leader=leader, difference=difference, bound=bound, gain=ahead.gain, allowance=allowance
    )


def _is_decided(rules: RaceRules, racing: Sequence[str]) -> bool:
    return len(racing) == len({rules.heats[name] for name in racing})


def _best_few(rules: RaceRules, look: Look, racing: Sequence[str]) -> tuple[str, ...]:
    """The most accurate few of each heat, in the order of the candidates."""
    best: set[str] = set()
    for heat in {rules.heats[name] for name in racing}:
        here = [name for name in racing if rules.heats[name] == heat]
        best.update(sorted(here, key=lambda name: -look.accuracy[name])[:BEST_FEW])
    return tuple(name for name in racing if name in best)
