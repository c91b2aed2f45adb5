"""What the decision promises where balanced accuracy decides and classes are imbalanced: how often it holds.

    python -m benchmarks.coverage_balanced [--draws 1000]

All pairs' intervals hold together in 95% of draws; backbones of one balanced accuracy are said to differ in 5% at most;
what the pick loses to the best stays within its stated bound in 95%; the interval of each backbone, and the winner's,
hold in 95%. Backbones are drawn where the truth is known, conditional on the numbers of test images of the classes,
of which the frequent have twenty times as many as the rare. Beside the interval of the first pair alone stands what it
would be without the discordance that is added at the heaviest image (statistics/weighted.py). Writes
benchmarks/coverage_balanced_<hardware>_<yyyymm>.md.
"""

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks.results import machine_line, write_results
from vitrail.evaluation.contestants import Criteria
from vitrail.evaluation.deciding_metric import DecidingMetric
from vitrail.evaluation.decision import Contender, decide
from vitrail.evaluation.pairs import Family, judge_pair, judge_pairs
from vitrail.evaluation.winners_curse import correct_winner, rate_together
from vitrail.statistics.clustered import pair_effect
from vitrail.statistics.paired import paired_difference
from vitrail.statistics.weighted import Leads

# Letters: N images, K backbones, C classes.

RATIO = 20
GROUP_SIZE = 4
SHARED = 0.5  # of what makes an image hard is the same for all backbones


@dataclass(frozen=True, kw_only=True)
class World:
    """Backbones of known recalls on n images; groups are of one class, and half of what is not shared is theirs."""

    classes: int
    shape: str
    n: int
    backbones: int
    case: str
    groups: bool = False

    def counts(self) -> np.ndarray:
        """Test images of each class, at least one: half of the classes rare, one rare class, or all in between."""
        place_C = np.arange(self.classes)
        share_C = {
            "half rare": np.where(place_C < self.classes // 2, float(RATIO), 1.0),
            "one rare": np.where(place_C < self.classes - 1, float(RATIO), 1.0),
            "geometric": RATIO ** np.linspace(1, 0, self.classes),
        }[self.shape]
        return np.maximum(1, np.round(self.n * share_C / share_C.sum())).astype(np.int64)

    def recalls(self) -> np.ndarray:
        """K x C: of rare classes fewer images are recognised."""
        rare_C = np.linspace(0, 1, self.classes)
        base_C, k = 0.9 - 0.2 * rare_C, np.arange(self.backbones)[:, None]
        if self.case == "equal":
            return np.tile(base_C, (self.backbones, 1))
        if self.case == "equal, strong in other classes":
            return base_C + 0.1 * (-1.0) ** k * np.where(np.arange(self.classes) < self.classes // 2, 1, -1)
        if self.case == "easy, differ in rare classes":
            return 0.98 - 0.01 * rare_C - 0.1 * k / max(1, self.backbones - 1) * (rare_C > 0.5)
        return base_C + 0.02 - 0.04 * k / max(1, self.backbones - 1)

    def draw(self, draws: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray | None]:
        """Whether each backbone is right on each image, the labels, and the groups."""
        label_N = np.repeat(np.arange(self.classes), self.counts())
        group_N, own_KN = None, draws.normal(size=(self.backbones, len(label_N)))
        if self.groups:
            within_N = np.concatenate([np.arange(count) // GROUP_SIZE for count in self.counts()])
            group_N = np.unique(label_N * len(label_N) + within_N, return_inverse=True)[1]
            group_KG = draws.normal(size=(self.backbones, int(group_N[-1]) + 1))
            own_KN = math.sqrt(0.5) * (own_KN + group_KG[:, group_N])
        hard_KN = math.sqrt(SHARED) * draws.normal(size=len(label_N)) + math.sqrt(1 - SHARED) * own_KN
        right_KN = hard_KN < stats.norm.ppf(np.clip(self.recalls(), 0, 0.999))[:, label_N]
        return {f"m{k}": right_N for k, right_N in enumerate(right_KN)}, label_N, group_N

    def truth(self) -> dict[str, float]:
        """The balanced accuracy of each backbone."""
        return {f"m{k}": float(recall) for k, recall in enumerate(np.clip(self.recalls(), 0, 0.999).mean(axis=1))}


CASES = ("equal", "equal, strong in other classes", "easy, differ in rare classes", "over 4 points")
WORLDS = (
    *(
        World(classes=classes, shape=shape, n=n, backbones=backbones, case=case)
        for backbones in (2, 10)
        for classes, shape in ((2, "one rare"), (10, "half rare"), (10, "one rare"), (40, "geometric"))
        for n in (100, 1_000, 5_000)
        for case in CASES
        if backbones == 2 or case != "easy, differ in rare classes"
    ),
    *(
        World(classes=classes, shape="geometric", n=n, backbones=backbones, case=case, groups=True)
        for backbones in (2, 10)
        for classes in (2, 10, 40)
        for n in (400, 2_000)
        for case in ("equal", "over 4 points")
    ),
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """Of one draw: what held. `beats` is whether a backbone was said to beat one that is as good or better."""

    first: bool
    first_plain: bool
    pairs: bool
    beats: bool
    rates: bool
    winner: bool
    luck: float
    loss_held: bool
    loss: float
    strength: str


def tell(world: World, draws: np.random.Generator) -> Told:
    """Decide on one draw of images, the cheaper the later a backbone stands, as a run decides."""
    right, label_N, group_N = world.draw(draws)
    truth, criteria = world.truth(), Criteria(decide_by="balanced")
    metric = DecidingMetric.of("balanced", label_N)
    pairs = judge_pairs(right, group_N, criteria, metric)
    rates = {name: rate_together(one, group_N, of=len(right), metric=metric) for name, one in right.items()}
    contenders = [
        Contender(name=name, accuracy=rates[name], gmacs=float(len(right) - k), licence="mit")
        for k, name in enumerate(right)
    ]
    decision = decide(contenders, pairs, margin=criteria.margin, metric=metric)
    winner = correct_winner(right, group_N, metric=metric, generator=draws)
    assert winner is not None
    leads = Leads.of(right["m0"].astype(np.int64) - right["m1"], group_N, metric.weigh(len(label_N)))
    lead = truth["m0"] - truth["m1"]
    alone = judge_pair("m0", "m1", leads, Family(pairs=1, backbones=2, criteria=criteria)).difference
    low, high = _plain(leads)
    return Told(
        first=alone.low <= lead <= alone.high,
        first_plain=low <= lead <= high,
        pairs=all(
            pair.difference.low - 1e-12 <= truth[pair.a] - truth[pair.b] <= pair.difference.high + 1e-12
            for pair in pairs
        ),
        beats=any(
            (pair.conclusion == "a is better" and truth[pair.a] <= truth[pair.b] + 1e-12)
            or (pair.conclusion == "b is better" and truth[pair.b] <= truth[pair.a] + 1e-12)
            for pair in pairs
        ),
        rates=all(rates[name].low <= truth[name] <= rates[name].high for name in right),
        winner=winner.corrected.low <= truth[winner.name] <= winner.corrected.high,
        luck=winner.corrected.value - truth[winner.name],
        loss_held=max(truth.values()) - truth[decision.choose] <= decision.losses[decision.choose] + 1e-12,
        loss=decision.losses[decision.choose],
        strength=decision.strength or "",
    )


def _plain(leads: Leads) -> tuple[float, float]:
    """Limits of 95% at an effective number that counts only the discordance that was seen."""
    gains, n = leads.gain_a + leads.gain_b, len(leads.lead_N)
    effect = float((leads.heavy_N**2).sum()) / gains if gains else 1.0
    if leads.group_N is not None and gains:
        effect *= pair_effect(leads.heavy_N, leads.group_N)
    found = paired_difference(leads.gain_a / effect, leads.gain_b / effect, n / effect)
    return found.low, found.high


def table(count: int) -> Iterator[str]:
    """A row for each world."""
    yield (
        "| classes | images | fewest | backbones | groups | draws | one pair holds | without the added discordance "
        "| all pairs hold | false beats | each backbone holds | winner holds | winner, points above truth "
        "| the pick's loss holds | stated loss, points: median | 90% of draws | proven, equivalent, practical "
        "| seconds |"
    )
    yield "| --- " * 18 + "|"
    for place, world in enumerate(WORLDS):
        began, draws = time.perf_counter(), np.random.default_rng([9, place])
        told = [tell(world, draws) for _ in range(count)]
        first, plain, pairs, beats, rates, winner, loss_held = (
            _share([getattr(one, name) for one in told])
            for name in ("first", "first_plain", "pairs", "beats", "rates", "winner", "loss_held")
        )
        luck, loss = 100 * np.array([one.luck for one in told]), 100 * np.array([one.loss for one in told])
        kinds = ("proven", "equivalent", "practical")
        strengths = ", ".join(f"{np.mean([one.strength == kind for one in told]):.0%}" for kind in kinds)
        yield (
            f"| {world.classes}, {world.shape} | {world.n:,} | {world.counts().min()} "
            f"| {world.backbones} {world.case} | {f'of {GROUP_SIZE}' if world.groups else '-'} | {len(told):,} "
            f"| {first} | {plain} | {pairs} | {beats} | {rates} | {winner} "
            f"| {luck.mean():+.2f} ± {luck.std() / math.sqrt(len(told)):.2f} | {loss_held} | {np.median(loss):.1f} "
            f"| {np.quantile(loss, 0.9):.1f} | {strengths} | {time.perf_counter() - began:.0f} |"
        )


def _share(held: list[bool]) -> str:
    rate = float(np.mean(held))
    return f"{100 * rate:.1f} ± {100 * math.sqrt(rate * (1 - rate) / len(held)):.1f}%"


def main() -> None:
    """Measure, and write the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1_000)
    count = parser.parse_args().draws
    title = __doc__.split("\n", 1)[0] if __doc__ else ""
    lines = [title, "", f"    python -m benchmarks.coverage_balanced --draws {count}", "", machine_line(), ""]
    lines += ["± is the Monte Carlo standard error. Bounds are in points of balanced accuracy.", ""]
    for line in table(count):
        print(line, flush=True)
        lines.append(line)
    write_results("coverage_balanced", [*lines, ""])


if __name__ == "__main__":
    main()
