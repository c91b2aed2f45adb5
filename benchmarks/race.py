"""The race between candidates, where the truth is known: its cost, how often it misses, and how well its bounds hold.

    python -m benchmarks.race [CHAPTER...]      (all of them without names; 100 repetitions of each row)

A candidate's error on n training images is what stays plus a part that falls as n^-b; b is drawn for each repetition
from 0.3 to 0.7, and each candidate's part varies by 5%. What makes an image hard is in part the same for all candidates
("agreement", the correlation of a latent normal variable) and changes in part from look to look. On flowers and dogs
with four backbones (ResNet-18 and -50, DeiT-Ti, ViT-Ti), most pairs agreed by 0.7 to 0.8, and a backbone with itself
at the next look by 0.9 to 0.95. Costs are drawn between 1 and 18 multiply-adds. The best candidate errs on 6% of the
images if it is trained on all. Ten classes. Writes the chapters of benchmarks/race_<hardware>_<yyyymm>.md.

The forecast, its limit and the looks were chosen by races in these worlds. So the misses are of a rule that was fitted
to them: they show that it works as meant, and do not estimate how often races of real backbones miss.

A miss is a pick that is more than the margin, 1 point, below the best on all training images. "Without a race" picks
from all candidates on the same images; "best left" counts races with no finalist within the margin of the best.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from benchmarks.results import keep_chapter
from vitrail.candidates.race import Forecast, RaceRules, run_race
from vitrail.candidates.race_judge import STRENGTHS
from vitrail.data.nested_subsets import FEW, SHARES
from vitrail.heads.ridge import RidgePath
from vitrail.statistics.forecast_lead import LeadForecast, forecast_lead
from vitrail.statistics.intervals import normal_quantile
from vitrail.statistics.paired import paired_difference

# Letters: K candidates, N images, D features, C classes.

MARGIN, BEST_ERROR, CLASSES = 0.01, 0.06, 10
FALLING, AT_IMAGES = 0.04, 5_000  # the falling part of an error at so many images
OWN_SPREAD = 0.05  # of the falling part, between candidates
STAYS = 0.65  # of what is a candidate's own in an image, from look to look
SEEN, MEASURED = 0.95, 0.8  # agreements
SEPARATION, NEW = 4.5, 2_000  # of the problems for real heads
REPETITIONS = 100
MOST_WITHOUT = 5_000  # images of a cell in which everyone is run on all


@dataclass(frozen=True, kw_only=True)
class World:
    """Candidates of known errors on all images: the first is the best, the others are behind by `nearest` to `last`.

    On the first 32nd of the images the first is behind by `late` more than its error on all images says.
    """

    name: str
    nearest: float
    last: float
    late: float = 0.0

    def errors(self, K: int, images: int, draws: np.random.Generator) -> Callable[[int], NDArray[np.float64]]:
        """The error of each candidate as a function of the number of training images."""
        behind_K = np.append(0.0, np.linspace(self.nearest, self.last, K - 1))
        power = draws.uniform(0.3, 0.7)
        falling_K = FALLING * math.sqrt(AT_IMAGES / images) * (1 + OWN_SPREAD * draws.normal(size=K))
        falling_K[0] += self.late / (32**power - 1)
        return lambda n: np.clip(BEST_ERROR + behind_K + falling_K * ((images / n) ** power - 1), 0.001, 0.95)


WORLDS = (
    World(name="4 points ahead of all", nearest=0.04, last=0.04),
    World(name="4 points ahead of the next, 10 of the last", nearest=0.04, last=0.10),
    World(name="spread over 3 points", nearest=0.0, last=0.03),
    World(name="spread over 6 points", nearest=0.0, last=0.06),
    World(name="near ties, half a point", nearest=0.0, last=0.005),
    World(name="mild crossing: 1.5 points ahead, 3 behind at first", nearest=0.015, last=0.045, late=0.045),
    World(name="strong crossing: 3 points ahead, 10 behind at first", nearest=0.03, last=0.06, late=0.13),
)


class Drawn:
    """Which images each candidate gets right at each look; drawn when they are asked for, so that races are cheap."""

    def __init__(
        self, error_at: Callable[[int], NDArray[np.float64]], sizes: Sequence[int], agreement: float, seed: int
    ) -> None:
        """From the errors, the sizes of the looks and of all images, and how much candidates agree."""
        self._error_at, self._sizes, self._seed = error_at, sizes, seed
        self._own, self._change = (math.sqrt((1 - agreement) * share) for share in (STAYS, 1 - STAYS))
        self._shared = math.sqrt(agreement)
        self.right = cache(self._draw_right)
        self._hard = cache(self._draw_hard)

    def _normal(self, n: int, *key: int) -> NDArray[np.float32]:
        return np.random.default_rng([self._seed, *key]).standard_normal(n, dtype=np.float32)

    def _draw_hard(self, k: int, block: int) -> NDArray[np.float32]:
        """How hard for a candidate the images are that the look adds."""
        n = self._sizes[block] - (self._sizes[block - 1] if block else 0)
        return self._shared * self._normal(n, block) + self._own * self._normal(n, block, k + 1)

    def _draw_right(self, k: int, n: int) -> NDArray[np.bool_]:
        look = self._sizes.index(n)
        hard_N = np.concatenate([self._hard(k, block) for block in range(look + 1)])
        right_N: NDArray[np.bool_] = hard_N + self._change * self._normal(n, look, k + 1, 1) < special.ndtri(
            1 - self._error_at(n)[k]
        )
        return right_N


def plan_sizes(images: int) -> list[int]:
    """The looks, and all images."""
    return [round(share * images) for share in SHARES if share * images >= FEW * CLASSES] + [images]


def allow_nothing(leads: Sequence[NDArray[np.integer]], images: int, group_N: object) -> LeadForecast:
    """The rule without an allowance."""
    return LeadForecast(gain=0.0, high=-1.0)


def allow_by_doubling(
    points: float, leads: Sequence[NDArray[np.integer]], images: int, group_N: object
) -> LeadForecast:
    """So many points for each time that the images still double."""
    return LeadForecast(gain=points / 100 * math.log2(images / len(leads[-1])), high=-1.0)


def allow_last_change(leads: Sequence[NDArray[np.integer]], images: int, group_N: object) -> LeadForecast:
    """What the lead gained by the last doubling on the same images, a root of 2 less with each doubling to come."""
    before, now = leads[-2], leads[-1]
    change = float(now[: len(before)].mean() - before.mean())
    doublings = round(math.log2(images / len(now)))
    return LeadForecast(gain=change * sum(2 ** (-k / 2) for k in range(1, doublings + 1)), high=-1.0)


def allow_gain(leads: Sequence[NDArray[np.integer]], images: int, group_N: object) -> LeadForecast:
    """The forecast gain without its upper limit."""
    return LeadForecast(gain=forecast_lead(leads, images).gain, high=-1.0)


def allow_gain_and_error(errors: float, leads: Sequence[NDArray[np.integer]], images: int, _: object) -> LeadForecast:
    """The forecast with its upper limit at so many standard errors, in place of two."""
    forecast = forecast_lead(leads, images)
    middle = float(leads[-1].mean()) + forecast.gain
    return LeadForecast(gain=forecast.gain, high=middle + errors / 2 * (forecast.high - middle))


CHOSEN: dict[str, Forecast] = {"the rule": forecast_lead, "without an allowance": allow_nothing}
ALLOWANCES: dict[str, Forecast] = {
    "none": allow_nothing,
    "1 point each doubling": partial(allow_by_doubling, 1.0),
    "half a point each doubling": partial(allow_by_doubling, 0.5),
    "the last change": allow_last_change,
    "the forecast": allow_gain,
    "the forecast, limit of 1 error": partial(allow_gain_and_error, 1.0),
    "the forecast, limit of 2 errors (the rule)": forecast_lead,
    "the forecast, limit of 3 errors": partial(allow_gain_and_error, 3.0),
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Of one race: its cost as a share of everyone's pass, and what it missed."""

    cost: float
    miss: bool
    best_left: bool
    miss_without: bool
    finalists: int


def race_once(
    world: World, K: int, images: int, agreement: float, forecasts: dict[str, Forecast], seed: int
) -> dict[str, Outcome]:
    """The outcome under each forecast, of the same images."""
    draws, sizes = np.random.default_rng([9, seed, K, images]), plan_sizes(images)
    error_at = world.errors(K, images, draws)
    drawn = Drawn(error_at, sizes, agreement, seed)
    names = [f"m{k}" for k in range(K)]
    gmacs = dict(zip(names, np.exp(draws.uniform(0, math.log(18), K)).tolist(), strict=True))
    behind_K = error_at(images) - error_at(images).min()

    def best_of(candidates: Sequence[int]) -> int:
        return max(candidates, key=lambda k: drawn.right(k, images).mean())

    rules = RaceRules(heats=dict.fromkeys(names, ""), images=images, sizes=tuple(sizes[:-1]), margin=MARGIN)
    outcomes = {}
    for name, forecast in forecasts.items():
        race = run_race(
            rules,
            lambda racing, n: {each: drawn.right(int(each[1:]), n) for each in racing},
            forecast=forecast,
        )
        finalists = [int(each[1:]) for each in race.finalists]
        outcomes[name] = Outcome(
            cost=race.share_of_cost(gmacs),
            miss=_is_far(behind_K[best_of(finalists)]),
            best_left=all(_is_far(behind_K[k]) for k in finalists),
            miss_without=images <= MOST_WITHOUT and _is_far(behind_K[best_of(range(K))]),
            finalists=len(finalists),
        )
    return outcomes


def _is_far(behind: float) -> bool:
    return bool(behind > MARGIN + 1e-9)


def show_rule(images: int, counts: Sequence[int], agreements: Sequence[float]) -> Iterator[str]:
    """The rule, and the same without an allowance."""
    yield (
        "| world | candidates | images | agreement | cost | missed | best left | finalists "
        "| cost without an allowance | missed | missed without a race |"
    )
    yield "| --- " * 11 + "|"
    for world, K, agreement in product(WORLDS, counts, agreements):
        races = [race_once(world, K, images, agreement, CHOSEN, seed) for seed in range(REPETITIONS)]
        rule, bare = ([race[name] for race in races] for name in CHOSEN)
        without = _rate(rule, "miss_without") if images <= MOST_WITHOUT else "-"
        yield (
            f"| {world.name} | {K} | {images:,} | {agreement:g} | {_cost(rule)} | {_rate(rule, 'miss')} | "
            f"{_rate(rule, 'best_left')} | {np.mean([each.finalists for each in rule]):.1f} | "
            f"{_cost(bare)} | {_rate(bare, 'miss')} | {without} |"
        )


def show_allowances() -> Iterator[str]:
    """Other allowances, with 12 candidates: cost and misses."""
    yield f"| allowance | images | agreement | {' | '.join(world.name for world in WORLDS)} |"
    yield "| --- " * (3 + len(WORLDS)) + "|"
    for images in (5_000, 50_000):
        for agreement in (MEASURED, SEEN):
            races = [
                [race_once(world, 12, images, agreement, ALLOWANCES, seed) for seed in range(REPETITIONS)]
                for world in WORLDS
            ]
            for name in ALLOWANCES:
                cells = [[race[name] for race in of_world] for of_world in races]
                told = [f"{np.mean([each.cost for each in cell]):.2f}, {_rate(cell, 'miss')}" for cell in cells]
                yield f"| {name} | {images:,} | {agreement:g} | {' | '.join(told)} |"


def _cost(outcomes: Sequence[Outcome]) -> str:
    cost = np.array([each.cost for each in outcomes])
    return f"{cost.mean():.2f} ± {2 * cost.std() / math.sqrt(len(cost)):.2f}"


def _rate(outcomes: Sequence[Outcome], what: str) -> str:
    """A rate, with the upper end of its 95% interval (Clopper and Pearson)."""
    count, total = sum(getattr(each, what) for each in outcomes), len(outcomes)
    high = stats.binomtest(count, total).proportion_ci(0.95).high
    return f"{count / total:.0%} (<= {high:.0%})"


def show_bounds() -> Iterator[str]:
    """Tango's upper limit at Bonferroni's levels: how often it is below the truth of 1 point, divided by the level."""
    shares = (0.02, 0.03, 0.05, 0.09, 0.17)
    yield f"| candidates | promised | images | {' | '.join(f'{share:.0%} discordant' for share in shares)} |"
    yield "| --- " * (3 + len(shares)) + "|"
    for K in (4, 12, 80):
        promised = 0.05 / (K * (K - 1) * (len(SHARES) - 1))
        for images in (156, 625, 2_500):
            told = [f"{_exact_failure(images, share, promised) / promised:.2f}" for share in shares]
            yield f"| {K} | {promised:.1e} | {images:,} | {' | '.join(told)} |"


def _exact_failure(images: int, discordance: float, promised: float) -> float:
    """The chance that Tango's upper limit is below the margin, which is the truth."""
    z2 = normal_quantile(1 - 2 * promised) ** 2
    share_a, total = (discordance + MARGIN) / 2 / discordance, 0.0
    for k in range(int(stats.binom.ppf(1 - 1e-9, images, discordance)) + 2):
        a_J = np.arange(k + 1)
        b_J = k - a_J
        # The other parameter at its most likely value, as in `statistics/paired.py`.
        b = -k + (2 * images - a_J + b_J) * MARGIN
        c = -b_J * MARGIN * (1 - MARGIN)
        q_J = (np.sqrt(np.maximum(0.0, b * b - 8 * images * c)) - b) / (4 * images)
        variance_J = np.maximum(0.0, images * (2 * q_J + MARGIN * (1 - MARGIN)))
        distance_J = a_J - b_J - images * MARGIN
        below_J = (distance_J < 0) & (distance_J**2 > z2 * variance_J)
        total += stats.binom.pmf(k, images, discordance) * stats.binom.pmf(a_J, k, share_a)[below_J].sum()
    return float(total)


def show_judges() -> Iterator[str]:
    """Whether limits for leave-one-out ridge heads hold for new images; their strengths are chosen on the same ones."""
    yield (
        "| images | features | noise of A, of B | A minus B, points: measured | true, mean "
        "| promised | limit holds for these heads | limit holds for the mean | spread of errors, in assumed ones |"
    )
    yield "| --- " * 9 + "|"
    for images, D in ((100, 16), (100, 128), (400, 16), (400, 128)):
        for noise_a, noise_b in ((1.0, 1.0), (1.0, 1.1)):
            draws = np.random.default_rng([11, images, D, int(10 * noise_b)])
            drawn = [_judge_once(images, D, (noise_a, noise_b), draws) for _ in range(2 * REPETITIONS)]
            seen, highs, truth = (np.array(column) for column in zip(*drawn, strict=True))
            held, held_mean = highs >= truth, highs >= truth.mean()
            spread = ((seen - truth) / (highs - seen)).std() * normal_quantile(0.95)
            yield (
                f"| {images} | {D} | {noise_a:g}, {noise_b:g} | {100 * seen.mean():+.2f} | {100 * truth.mean():+.2f} | "
                f"97.5% | {100 * held.mean():.1f} ± {200 * held.std() / math.sqrt(len(held)):.1f}% | "
                f"{100 * held_mean.mean():.1f} ± {200 * held_mean.std() / math.sqrt(len(held)):.1f}% | {spread:.2f} |"
            )


def _judge_once(
    images: int, D: int, noises: tuple[float, float], draws: np.random.Generator
) -> tuple[float, float, float]:
    """The measured difference of two backbones, its upper limit, and the difference of the same heads on new images."""
    place_CD = draws.standard_normal((CLASSES, D), dtype=np.float32) * (SEPARATION / math.sqrt(D))
    label_N = draws.permutation(np.arange(images + NEW) % CLASSES)
    shared_ND = draws.standard_normal((len(label_N), D), dtype=np.float32)
    leads = []
    for noise in noises:
        own_ND = draws.standard_normal(shared_ND.shape, dtype=np.float32)
        feature_ND = place_CD[label_N] + np.float32(noise) * (0.8 * shared_ND + 0.6 * own_ND)
        path = RidgePath(feature_ND[:images], label_N[:images], classes=CLASSES)
        alpha = min(STRENGTHS, key=lambda alpha: path.leave_one_out(alpha).error)
        left_out_N = path.left_out_scores(alpha).numpy().argmax(axis=1) == label_N[:images]
        new_N = path.fit(alpha).logits(feature_ND[images:]).argmax(axis=1) == label_N[images:]
        leads.append((left_out_N, new_N))
    (a_N, new_a), (b_N, new_b) = leads
    interval = paired_difference(int((a_N & ~b_N).sum()), int((b_N & ~a_N).sum()), images, 0.95)
    return interval.value, interval.high, float(new_a.mean() - new_b.mean())


CHAPTERS: dict[str, Callable[[], Iterator[str]]] = {
    "twelve-5000": partial(show_rule, 5_000, [12], [MEASURED, SEEN]),
    "twelve-50000": partial(show_rule, 50_000, [12], [MEASURED, SEEN]),
    "twelve-500": partial(show_rule, 500, [12], [MEASURED]),
    "counts-5000": partial(show_rule, 5_000, [4, 40, 80], [MEASURED]),
    "counts-50000": partial(show_rule, 50_000, [4, 40, 80], [MEASURED]),
    "counts-500": partial(show_rule, 500, [4, 40, 80], [MEASURED]),
    "allowances": show_allowances,
    "bounds": show_bounds,
    "judges": show_judges,
}


def main() -> None:
    """Measure the chapters that are named, or all, and write them beside this file."""
    promise = (__doc__ or "").splitlines()[0]
    for name in sys.argv[1:] or CHAPTERS:
        chapter = CHAPTERS[name]
        described = chapter.func if isinstance(chapter, partial) else chapter
        lines = [described.__doc__ or "", "± is two standard errors; (<= x) ends a 95% interval.", ""]
        for line in chapter():
            print(line, flush=True)
            lines.append(line)
        keep_chapter("race", promise, name, lines)


if __name__ == "__main__":
    main()
