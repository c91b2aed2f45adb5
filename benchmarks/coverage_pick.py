"""What the decision promises of backbones that were ranked on the same images: how often it holds, and how wide it is.

    python -m benchmarks.coverage_pick [--draws 1000]

All pairs' intervals hold together in 95% of draws; what the pick loses to the best stays within its stated bound in
95%; the corrected accuracy of the winner is that of the winner on average. Backbones are drawn where the truth is
known. Beside what is printed stands what was printed until commit ec0799b: the interval of the best and the last as
one pair, and the winner corrected by the bootstrap. Writes benchmarks/coverage_pick_<hardware>_<yyyymm>.md.
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
from vitrail.evaluation.decision import Contender, decide
from vitrail.evaluation.pairs import Family, judge_pair, judge_pairs
from vitrail.evaluation.winners_curse import correct_winner, rate_together
from vitrail.statistics.weighted import Leads

# Letters: N images, K backbones.

GROUP_SIZE = 20


@dataclass(frozen=True, kw_only=True)
class World:
    """Backbones of known accuracies on n images; `shared` of what makes an image hard is the same for all.

    With groups, half of what is not shared is the same for all images of a group.
    """

    name: str
    rates: tuple[float, ...]
    n: int
    shared: float
    groups: bool

    def draw(self, draws: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Whether each backbone is right on each image, and the groups."""
        shared_N = math.sqrt(self.shared) * draws.normal(size=self.n)
        own_KN = draws.normal(size=(len(self.rates), self.n))
        group_N = None
        if self.groups:
            group_N = np.arange(self.n) // GROUP_SIZE
            group_KG = draws.normal(size=(len(self.rates), int(group_N[-1]) + 1))
            own_KN = math.sqrt(0.5) * (own_KN + group_KG[:, group_N])
        hard_KN = shared_N + math.sqrt(1 - self.shared) * own_KN
        right_KN = hard_KN < stats.norm.ppf(self.rates)[:, None]
        return {f"m{k}": right_N for k, right_N in enumerate(right_KN)}, group_N


def equal(count: int, n: int, *, shared: float = 0.5, groups: bool = False) -> World:
    """So many backbones of one accuracy."""
    return World(name=f"{count} equal", rates=(0.85,) * count, n=n, shared=shared, groups=groups)


def spread(count: int, n: int, *, shared: float = 0.5, groups: bool = False) -> World:
    """So many backbones, the best 4 points above the last."""
    rates = tuple(np.linspace(0.87, 0.83, count))
    return World(name=f"{count} over 4 points", rates=rates, n=n, shared=shared, groups=groups)


PICKED = (
    *(equal(count, n) for count in (2, 4, 10) for n in (100, 1_000, 5_000)),
    *(spread(count, n) for count in (2, 4, 10) for n in (100, 1_000, 5_000)),
    equal(10, 200),
    *(equal(10, n, shared=0.98) for n in (100, 1_000)),
    *(spread(10, n, shared=0.98) for n in (100, 1_000)),
    *(equal(count, 1_000, groups=True) for count in (2, 10)),
    *(spread(count, 1_000, groups=True) for count in (2, 10)),
    *(maker(40, n) for maker in (equal, spread) for n in (200, 1_000)),
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """Of one draw: whether all pairs held, that of the best and the last, and the pick's bound; how wide that is.

    `extremes_alone` is whether the interval of the best and the last held that allows for no other pair.
    """

    pairs_held: bool
    extremes_held: bool
    extremes_alone: bool
    loss_held: bool
    loss: float
    strength: str
    choose: str


def tell(world: World, draws: np.random.Generator) -> Told:
    """Decide on one draw of images, the cheaper the later a backbone stands, as a run decides."""
    right, group_N = world.draw(draws)
    truth = dict(zip(right, world.rates, strict=True))
    criteria = Criteria()
    pairs = judge_pairs(right, group_N, criteria)
    held = {
        (pair.a, pair.b): pair.difference.low <= truth[pair.a] - truth[pair.b] <= pair.difference.high for pair in pairs
    }
    contenders = [
        Contender(
            name=name,
            accuracy=rate_together(right_N, group_N, of=len(right)),
            gmacs=float(len(right) - k),
            licence="mit",
        )
        for k, (name, right_N) in enumerate(right.items())
    ]
    decision = decide(contenders, pairs, margin=criteria.margin)
    order = sorted(right, key=lambda name: -right[name].mean())
    first, last = sorted((order[0], order[-1]), key=list(right).index)
    lead_N = right[first].astype(np.int64) - right[last].astype(np.int64)
    alone = judge_pair(
        first, last, Leads.of(lead_N, group_N), Family(pairs=1, backbones=2, criteria=criteria)
    ).difference
    return Told(
        pairs_held=all(held.values()),
        extremes_held=held[first, last],
        extremes_alone=alone.low <= truth[first] - truth[last] <= alone.high,
        loss_held=max(truth.values()) - truth[decision.choose] <= decision.losses[decision.choose],
        loss=decision.losses[decision.choose],
        strength=decision.strength or "",
        choose=decision.choose,
    )


def picks(count: int) -> Iterator[str]:
    """Pairs and picks."""
    yield "## All pairs together, and the pick (promised: 95% at least)"
    yield ""
    yield (
        "| backbones | images | shared | groups | draws | all pairs hold | best and last hold "
        "| as one pair | the pick's loss holds | stated loss, points: median | 90% of draws "
        "| true loss, mean | proven, equivalent, practical | seconds |"
    )
    yield "| --- " * 14 + "|"
    for place, world in enumerate(PICKED):
        began, draws = time.perf_counter(), np.random.default_rng([7, place])
        # 780 pairs a draw take a second.
        told = [tell(world, draws) for _ in range(count if len(world.rates) <= 10 else max(1, count // 10))]
        true = [max(world.rates) - world.rates[int(one.choose[1:])] for one in told]
        names = ("pairs_held", "extremes_held", "extremes_alone", "loss_held")
        held = [[getattr(one, name) for one in told] for name in names]
        loss = 100 * np.array([one.loss for one in told])
        kinds = ("proven", "equivalent", "practical")
        strengths = [f"{np.mean([one.strength == kind for one in told]):.0%}" for kind in kinds]
        yield (
            f"| {world.name} | {world.n:,} | {world.shared:g} | {'of 20' if world.groups else '-'} | {len(told):,} | "
            f"{' | '.join(_share(values) for values in held)} | {np.median(loss):.1f} | {np.quantile(loss, 0.9):.1f} | "
            f"{100 * np.mean(true):.2f} | {', '.join(strengths)} | {time.perf_counter() - began:.0f} |"
        )


CURSED = tuple(
    World(name=name, rates=rates, n=n, shared=0.5, groups=groups)
    for groups in (False, True)
    for n in ((100, 200, 1_000) if not groups else (1_000,))
    for name, rates in {
        "2 equal": (0.85,) * 2,
        "10 equal": (0.85,) * 10,
        "40 equal": (0.85,) * 40,
        "10 over 4 points": tuple(np.linspace(0.87, 0.83, 10)),
        "10 over 20 points": tuple(np.linspace(0.9, 0.7, 10)),
        "half a point ahead of 1, 5 of 8": (0.87, 0.865, *(0.82,) * 8),
        "2 points ahead of 9": (0.87, *(0.85,) * 9),
        "10 points ahead of 9": (0.9, *(0.8,) * 9),
    }.items()
)


def draw_luck(right: dict[str, np.ndarray], group_N: np.ndarray | None, seed: int, draws: int = 500) -> float:
    """What the best of a draw with replacement gains over its accuracy on the images that were drawn from."""
    right_KN = np.stack(list(right.values())).astype(np.float32)
    unit_N = np.arange(right_KN.shape[1]) if group_N is None else group_N
    units = int(unit_N[-1]) + 1
    times_RU = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=draws)
    times_RN = times_RU[:, unit_N].astype(np.float32)
    rate_RK = times_RN @ right_KN.T / times_RN.sum(axis=1, keepdims=True)
    return max(0.0, float((rate_RK.max(axis=1) - right_KN.mean(axis=1)[rate_RK.argmax(axis=1)]).mean()))


def curses(count: int) -> Iterator[str]:
    """The accuracy of the winner."""
    yield "## The winner's accuracy, in points above the truth of whichever won (promised: 0, and the interval 95%)"
    yield ""
    yield (
        "| backbones | images | groups | draws | as seen | by bootstrap | corrected | its spread | interval holds "
        "| seconds |"
    )
    yield "| --- " * 10 + "|"
    for place, world in enumerate(CURSED):
        began, draws = time.perf_counter(), np.random.default_rng([8, place])
        seen, bootstrap, corrected, held = [], [], [], []
        for number in range(count):
            right, group_N = world.draw(draws)
            winner = correct_winner(right, group_N, generator=np.random.default_rng(number))
            assert winner is not None
            truth = world.rates[int(winner.name[1:])]
            seen.append(100 * (winner.seen - truth))
            bootstrap.append(100 * (winner.seen - draw_luck(right, group_N, number) - truth))
            corrected.append(100 * (winner.corrected.value - truth))
            held.append(winner.corrected.low <= truth <= winner.corrected.high)
        yield (
            f"| {world.name} | {world.n:,} | {'of 20' if world.groups else '-'} | {count:,} | {_mean(seen)} | "
            f"{_mean(bootstrap)} | {_mean(corrected)} | {np.std(corrected):.2f} | {_share(held)} | "
            f"{time.perf_counter() - began:.0f} |"
        )


def _share(held: list[bool]) -> str:
    rate = float(np.mean(held))
    return f"{100 * rate:.1f} ± {100 * math.sqrt(rate * (1 - rate) / len(held)):.1f}%"


def _mean(values: list[float]) -> str:
    return f"{np.mean(values):+.2f} ± {np.std(values) / math.sqrt(len(values)):.2f}"


def main() -> None:
    """Measure, and write the tables beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1_000)
    count = parser.parse_args().draws
    title = __doc__.split("\n", 1)[0] if __doc__ else ""
    lines = [title, "", f"    python -m benchmarks.coverage_pick --draws {count}", "", machine_line(), ""]
    lines += ["± is the Monte Carlo standard error. Means and bounds are in points of accuracy.", ""]
    for part in (picks, curses):
        for line in part(count):
            print(line, flush=True)
            lines.append(line)
        lines.append("")
    write_results("coverage_pick", lines)


if __name__ == "__main__":
    main()
