"""How often intervals cover, tests reject and sets hold, where the truth is known.

    python -m benchmarks.coverage

Rates by exact binomial sums, everything else by seeded draws. The promises of a head's thresholds are measured in
`promises.py`, on images in groups too. Writes benchmarks/coverage_<hardware>_<yyyymm>.md.
"""

import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations

import numpy as np
from scipy import stats

from benchmarks.results import machine_line, write_results
from vitrail.evaluation import Pair
from vitrail.evaluation.contestants import Criteria
from vitrail.evaluation.pairs import judge_pairs
from vitrail.statistics import metrics
from vitrail.statistics.calibration_error import ece
from vitrail.statistics.conformal import SCORES, threshold, true_scores
from vitrail.statistics.intervals import normal_quantile, wilson
from vitrail.statistics.metrics import balanced_accuracy
from vitrail.statistics.paired import equivalence_p, mcnemar_exact, paired_difference

# Letters: K counts, P rates, N examples, C classes, R draws.

DRAWS = 5_000
SIZES = (100, 1_000, 10_000)
LOWEST, HIGHEST, STEP, WINDOW = 0.5, 0.99, 0.0005, 0.02
FLOORS = {100: 0.915, 1_000: 0.94, 10_000: 0.94}  # asked of Wilson at every rate


def main() -> None:
    """Measure, and write the table beside this file."""
    lines = [__doc__.split("\n", 1)[0] if __doc__ else "", "", "    python -m benchmarks.coverage", ""]
    lines += [machine_line(), ""]
    for part in (rates, balanced, differences, null_tests, sets, groups, pairs):
        for line in part():
            print(line, flush=True)
            lines.append(line)
        lines.append("")
    write_results("coverage", lines)


def rate_coverage(n: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """The exact coverage of 95% intervals for a rate, at rates from LOWEST to HIGHEST: rates and coverages."""
    rate_P = np.arange(LOWEST, HIGHEST + STEP / 2, STEP)
    return rate_P, _covered(rate_P, n, *_limits(n, method))


def windowed(n: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """The mean coverage over rates within WINDOW of each rate from LOWEST to HIGHEST: these rates and the means.

    A window that reaches 1 is cut there, and 1 itself is no rate in it.
    """
    around_P = np.arange(LOWEST - WINDOW, 1 - STEP / 2, STEP)
    sum_P = np.concatenate([[0.0], np.cumsum(_covered(around_P, n, *_limits(n, method)))])
    rate_P = np.arange(LOWEST, HIGHEST + STEP / 2, STEP)
    first_P = np.searchsorted(around_P, rate_P - WINDOW - STEP / 2)
    end_P = np.searchsorted(around_P, rate_P + WINDOW + STEP / 2)
    return rate_P, (sum_P[end_P] - sum_P[first_P]) / (end_P - first_P)


def least_coverage(n: int, method: str) -> tuple[float, float]:
    """The least coverage of any rate from LOWEST to HIGHEST, and that rate.

    Between two limits the counts that cover stay the same, and the chance of these counts has one peak over rates: it
    is least at an end. So every limit is tried, a hair below and a hair above, and both ends of the range.
    """
    low_K, high_K = _limits(n, method)
    limits = np.concatenate([low_K, high_K])
    limits = limits[(limits >= LOWEST) & (limits <= HIGHEST)]
    rate_P = np.concatenate([[LOWEST, HIGHEST], limits - 1e-12, limits + 1e-12])
    rate_P = rate_P[(rate_P >= LOWEST) & (rate_P <= HIGHEST)]
    covered_P = _covered(rate_P, n, low_K, high_K)
    least = int(covered_P.argmin())
    return float(covered_P[least]), float(rate_P[least])


def _covered(rate_P: np.ndarray, n: int, low_K: np.ndarray, high_K: np.ndarray) -> np.ndarray:
    # The counts that cover a rate are consecutive, since both limits grow with the count.
    first_P = np.searchsorted(high_K, rate_P, side="left")
    last_P = np.searchsorted(low_K, rate_P, side="right") - 1
    return np.asarray(stats.binom.cdf(last_P, n, rate_P) - stats.binom.cdf(first_P - 1, n, rate_P))


def _limits(n: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    count_K = np.arange(n + 1)
    if method == "clopper-pearson":
        low_K = np.where(count_K > 0, stats.beta.ppf(0.025, np.maximum(count_K, 1), n - count_K + 1), 0.0)
        high_K = np.where(count_K < n, stats.beta.ppf(0.975, count_K + 1, np.maximum(n - count_K, 1)), 1.0)
        return low_K, high_K
    z2, rate_K = normal_quantile(0.95) ** 2, count_K / n
    centre_K = (rate_K + z2 / (2 * n)) / (1 + z2 / n)
    half_K = np.sqrt(z2 * (rate_K * (1 - rate_K) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    low_K, high_K = np.clip(centre_K - half_K, 0, 1), np.clip(centre_K + half_K, 0, 1)
    for count in (0, 1, n // 2, n - 3, n):  # what is summed here is what is printed there
        printed = wilson(count, n)
        assert abs(printed.low - low_K[count]) < 1e-12
        assert abs(printed.high - high_K[count]) < 1e-12
    return low_K, high_K


def rates() -> Iterator[str]:
    """Wilson and Clopper-Pearson, exactly."""
    yield f"## Rates, {LOWEST:g} to {HIGHEST:g}, exact binomial sums (promised 95%)"
    yield ""
    yield f"| interval | n | lowest of all p | of whole per cent | mean | mean over p ± {WINDOW:g}: lowest | highest |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for method in ("wilson", "clopper-pearson"):
        for n in SIZES:
            covered, (least, at) = rate_coverage(n, method)[1], least_coverage(n, method)
            (rate_P, near), coarse = windowed(n, method), covered[:: round(0.01 / STEP)]
            low, high = int(near.argmin()), int(near.argmax())
            yield (
                f"| {method} | {n:,} | {100 * least:.2f} at {at:.4f} | {100 * coarse.min():.2f} | "
                f"{100 * covered.mean():.2f} | {100 * near[low]:.2f} at {rate_P[low]:.4f} | "
                f"{100 * near[high]:.2f} at {rate_P[high]:.4f} |"
            )
    yield ""
    for n, floor in FLOORS.items():
        rate_P, covered = rate_coverage(n, "wilson")
        short = covered < floor
        where = ", ".join(f"{100 * c:.2f} at {p:.4f}" for p, c in zip(rate_P[short], covered[short], strict=True))
        kept = f"falls short at {short.mean():.1%} of rates in steps of {STEP:g}: {where}" if where else "holds"
        yield f"- Never below {floor:.1%} was asked of Wilson at n = {n:,}: {kept}."
    yield ""
    yield "Wilson is printed: its coverage is the promise on average, Clopper-Pearson's is above it nearly everywhere."


SHAPES: dict[str, tuple[list[int], list[float]]] = {
    "10 classes of 30, 90% right": ([30] * 10, [0.9] * 10),
    "20 classes of 8, 70 to 95% right": ([8] * 20, list(np.linspace(0.7, 0.95, 20))),
    "120 classes of 17, 60 to 100% right": ([17] * 120, list(np.linspace(0.6, 1.0, 120))),
    "5 classes of 200, 50, 20, 10, 8, the small ones worse": ([200, 50, 20, 10, 8], [0.95, 0.9, 0.8, 0.7, 0.6]),
    "3 classes of 100, 99% right": ([100] * 3, [0.99] * 3),
}


def balanced() -> Iterator[str]:
    """Balanced accuracy."""
    yield f"## Balanced accuracy, {DRAWS:,} draws (promised 95 ± 1.5% where 10 or more errors are expected)"
    yield ""
    yield "| shape | errors expected | coverage |"
    yield "| --- | --- | --- |"
    draws = np.random.default_rng(0)
    for name, (sizes, accuracies) in SHAPES.items():
        label_N = np.repeat(np.arange(len(sizes)), sizes)
        accuracy_N, truth = np.repeat(accuracies, sizes), float(np.mean(accuracies))

        def held(label_N: np.ndarray = label_N, accuracy_N: np.ndarray = accuracy_N, truth: float = truth) -> bool:
            right_N = draws.random(len(label_N)) < accuracy_N
            found = balanced_accuracy(label_N, right_N)
            return found.low <= truth <= found.high

        errors = float((1 - accuracy_N).sum())
        yield f"| {name} | {errors:.0f} | {_share(held)} |"


def differences() -> Iterator[str]:
    """Tango's interval for a paired difference."""
    yield f"## Paired difference, {DRAWS:,} draws (promised 95 ± 1.5% where 10 or more discordances are expected)"
    yield ""
    yield "| n | only A | only B | discordances expected | coverage |"
    yield "| --- | --- | --- | --- | --- |"
    draws = np.random.default_rng(1)
    for n, a, b in ((100, 0.03, 0.01), (100, 0.1, 0.05), (400, 0.02, 0.02), (400, 0.05, 0.01), (2000, 0.04, 0.06)):

        def held(n: int = n, a: float = a, b: float = b) -> bool:
            only_a, only_b, _ = draws.multinomial(n, [a, b, 1 - a - b])
            low, high = _tango(int(only_a), int(only_b), n)
            return low <= a - b <= high

        yield f"| {n:,} | {a:g} | {b:g} | {n * (a + b):.0f} | {_share(held)} |"


@cache
def _tango(only_a: int, only_b: int, n: int) -> tuple[float, float]:
    found = paired_difference(only_a, only_b, n)
    return found.low, found.high


def null_tests() -> Iterator[str]:
    """Tests where there is no difference, and equivalence where there is just the margin."""
    noise = 1.96 * math.sqrt(0.05 * 0.95 / DRAWS)
    yield f"## Tests under their null, {DRAWS:,} draws (promised 5% at most, noise ± {100 * noise:.1f})"
    yield ""
    yield "| test | n | rejected |"
    yield "| --- | --- | --- |"
    draws = np.random.default_rng(2)
    for n in (200, 1_000):

        def family(n: int = n) -> tuple[bool, bool]:
            """Four backbones of one accuracy on images that are easy or hard for all: one pair, and any pair."""
            ease_N = draws.beta(4, 1, n)
            right = [draws.random(n) < ease_N for _ in range(4)]
            pairs = [(int((a & ~b).sum()), int((b & ~a).sum())) for a, b in combinations(right, 2)]
            p_values = [_mcnemar(*pair) for pair in pairs]
            return p_values[0] < 0.05, len(p_values) * min(p_values) < 0.05

        found = np.array([family() for _ in range(DRAWS)]).mean(axis=0)
        yield f"| McNemar, one pair | {n:,} | {100 * found[0]:.2f}% |"
        yield f"| Bonferroni's family, any of 6 pairs | {n:,} | {100 * found[1]:.2f}% |"
    for n, discordant in ((500, 0.04), (2_000, 0.06)):

        def equivalent(n: int = n, discordant: float = discordant) -> bool:
            a = (discordant + 0.01) / 2
            only_a, only_b, _ = draws.multinomial(n, [a, discordant - a, 1 - discordant])
            return _tost(int(only_a), int(only_b), n) < 0.05

        yield f"| TOST at a difference of its margin, {discordant:.0%} discordant | {n:,} | {_share(equivalent)} |"


@cache
def _mcnemar(only_a: int, only_b: int) -> float:
    return mcnemar_exact(only_a, only_b)


@cache
def _tost(only_a: int, only_b: int, n: int) -> float:
    return equivalence_p(only_a, only_b, n, 0.01)


def draw_classifier(draws: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of an overconfident classifier of ten classes that is right in some 70%."""
    label_N = draws.integers(0, 10, n)
    logit_NC = 2 * (draws.normal(size=(n, 10)) + 2 * np.eye(10)[label_N])
    probability_NC = np.exp(logit_NC - logit_NC.max(axis=1, keepdims=True))
    return probability_NC / probability_NC.sum(axis=1, keepdims=True), label_N


def sets() -> Iterator[str]:
    """Conformal sets, split: thresholds from examples of their own."""
    yield "## Conformal sets, 1,000 draws of 1,000 new examples (promised 90%)"
    yield ""
    yield "| score | calibration examples | coverage | mean size |"
    yield "| --- | --- | --- | --- |"
    draws = np.random.default_rng(3)
    for kind, score in SCORES.items():
        for n in (100, 500):
            covered, sizes = [], []
            for _ in range(1_000):
                probability_NC, label_N = draw_classifier(draws, n + 1_000)
                score_NC = score(probability_NC)
                true_N = true_scores(score_NC, label_N)
                limit = threshold(true_N[:n], 0.1)
                covered.append(float((true_N[n:] <= limit).mean()))
                sizes.append(float((score_NC[n:] <= limit).sum(axis=1).mean()))
            yield f"| {kind} | {n:,} | {100 * np.mean(covered):.2f}% | {np.mean(sizes):.2f} |"


GROUP_SIZE, GROUP_CLASSES = 8, 5
GROUP_DRAWS = 1_000
FIGURES = ("top-1", "balanced accuracy", "macro F1", "NLL", "Brier", "ECE")


def draw_grouped(
    draws: np.random.Generator, count: int, size: int = GROUP_SIZE, *, one_class: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities and groups of images that share the luck of their group, and its class or not.

    Half of the luck shows in the confidence and half does not, of a group as of an image.
    """
    group_N = np.repeat(np.arange(count), size)
    label_N = draws.integers(0, GROUP_CLASSES, count)[group_N]
    if not one_class:
        label_N = draws.integers(0, GROUP_CLASSES, count * size)
    shown_N, hidden_N = (0.7 * (draws.normal(size=count)[group_N] + draws.normal(size=count * size)) for _ in range(2))
    sure_N = np.maximum(0.1, np.linspace(0.6, 2.2, GROUP_CLASSES)[label_N] + shown_N)
    answer_N = (label_N + (sure_N + hidden_N < 0.8)) % GROUP_CLASSES
    confidence_N = 1 / (1 + (GROUP_CLASSES - 1) * np.exp(-1.3 * sure_N))
    probability_NC = np.repeat((1 - confidence_N)[:, None] / (GROUP_CLASSES - 1), GROUP_CLASSES, axis=1)
    np.put_along_axis(probability_NC, answer_N[:, None], confidence_N[:, None], axis=1)
    return label_N, probability_NC, group_N


def grouped_figures(
    label_N: np.ndarray, probability_NC: np.ndarray, group_N: np.ndarray | None
) -> dict[str, tuple[float, float, float]]:
    """Value, low and high of each of FIGURES, as a verdict makes them."""
    predicted_N, confidence_N = probability_NC.argmax(axis=1), probability_NC.max(axis=1)
    found = (
        metrics.rate(predicted_N == label_N, group_N),
        metrics.balanced_accuracy(label_N, predicted_N == label_N, group_N=group_N),
        metrics.macro_f1(label_N, predicted_N, GROUP_CLASSES, group_N=group_N),
        metrics.nll(probability_NC, label_N, group_N=group_N),
        metrics.brier(probability_NC, label_N, group_N=group_N),
        ece(confidence_N, predicted_N == label_N, generator=np.random.default_rng(0), group_N=group_N),
    )
    return {name: (one.value, one.low, one.high) for name, one in zip(FIGURES, found, strict=True)}


@cache
def grouped_truth(one_class: bool) -> dict[str, float]:
    """The figures of a million images, each a group of its own: groups move no mean."""
    label_N, probability_NC, _ = draw_grouped(np.random.default_rng(6), 1_000_000, 1, one_class=one_class)
    return {name: value for name, (value, _, _) in grouped_figures(label_N, probability_NC, None).items()}


def groups() -> Iterator[str]:
    """Figures of images in groups."""
    yield f"## Images in groups of {GROUP_SIZE}, {GROUP_DRAWS:,} draws (promised 95%)"
    yield ""
    yield "| groups | classes | figure | by group | as if independent | bootstrap of groups |"
    yield "| --- | --- | --- | --- | --- | --- |"
    draws = np.random.default_rng(5)
    for one_class in (True, False):
        truth = grouped_truth(one_class)
        for count in (20, 60, 200):
            held = {name: np.zeros(3) for name in FIGURES}
            for _ in range(GROUP_DRAWS):
                drawn = draw_grouped(draws, count, one_class=one_class)
                ways = (grouped_figures(*drawn), grouped_figures(*drawn[:2], None), _bootstrap(draws, *drawn))
                for name in FIGURES:
                    held[name] += [way[name][1] <= truth[name] <= way[name][2] for way in ways]
            for name, shares in held.items():
                kind = "one a group" if one_class else "mixed"
                yield f"| {count} | {kind} | {name} | {' | '.join(_shares(shares, name))} |"


def _shares(held: np.ndarray, name: str) -> list[str]:
    drawn = name in ("top-1", "balanced accuracy", "NLL")
    return [f"{100 * n / GROUP_DRAWS:.1f}%" for n in held[: 3 if drawn else 2]] + ["-"] * (not drawn)


def _bootstrap(
    draws: np.random.Generator, label_N: np.ndarray, probability_NC: np.ndarray, group_N: np.ndarray
) -> dict[str, tuple[float, float, float]]:
    """Percentile intervals of 200 draws of groups, of accuracies and NLL; no limits for the others."""
    count = int(group_N.max()) + 1
    times_RG = draws.multinomial(count, np.full(count, 1 / count), size=200)
    right_N = probability_NC.argmax(axis=1) == label_N
    loss_N = -np.log(np.take_along_axis(probability_NC, label_N[:, None], axis=1)[:, 0])
    cell_N = group_N * GROUP_CLASSES + label_N

    def summed(weight_N: np.ndarray) -> np.ndarray:
        cells = np.bincount(cell_N, weights=weight_N, minlength=count * GROUP_CLASSES)
        return np.asarray(times_RG @ cells.reshape(count, GROUP_CLASSES))

    n_RC, right_RC, loss_RC = summed(np.ones(len(label_N))), summed(right_N), summed(loss_N)
    with np.errstate(invalid="ignore"):
        balanced_R = np.nanmean(np.where(n_RC > 0, right_RC / n_RC, np.nan), axis=1)
    drawn = {
        "top-1": right_RC.sum(axis=1) / n_RC.sum(axis=1),
        "balanced accuracy": balanced_R,
        "NLL": loss_RC.sum(axis=1) / n_RC.sum(axis=1),
    }
    limits = {name: np.quantile(value_R, (0.025, 0.975)) for name, value_R in drawn.items()}
    return {name: (math.nan, *limits.get(name, (math.nan, math.nan))) for name in FIGURES}


PAIR_SIZE = 40
PAIRS = {"none": (0.8, 0.8), "10 points": (0.9, 0.8), "20 points": (0.9, 0.7)}


def draw_pair(
    draws: np.random.Generator, count: int, rates: tuple[float, float], size: int = PAIR_SIZE
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Whether A and B, right at these rates, are right on images in groups; each finds other groups hard.

    How hard an image is has variance 1: 0.4 of it both share, 0.2 are its group's and 0.4 its own, apart for each.
    """
    group_N = np.repeat(np.arange(count), size)
    shared_N = math.sqrt(0.4) * draws.normal(size=count * size)
    right = {}
    for name, rate in zip("ab", rates, strict=True):
        group_G, own_N = math.sqrt(0.2) * draws.normal(size=count), math.sqrt(0.4) * draws.normal(size=count * size)
        right[name] = shared_N + group_G[group_N] + own_N < stats.norm.ppf(rate)
    return right, group_N


def judge_pair(right: dict[str, np.ndarray], group_N: np.ndarray | None) -> Pair:
    """A against B, as a verdict judges them."""
    return judge_pairs(right, group_N, Criteria())[0]


def pairs() -> Iterator[str]:
    """The difference of two backbones on images in groups."""
    yield f"## Paired difference on images in groups of {PAIR_SIZE}, {GROUP_DRAWS:,} draws (promised 95%)"
    yield ""
    yield "| groups | true difference | by group | as if independent | shown to differ |"
    yield "| --- | --- | --- | --- | --- |"
    draws = np.random.default_rng(7)
    for name, (a, b) in PAIRS.items():
        for count in (5, 20, 60):
            told = np.zeros(3)
            for _ in range(GROUP_DRAWS):
                right, group_N = draw_pair(draws, count, (a, b))
                by_group, alone = judge_pair(right, group_N), judge_pair(right, None).difference
                told[0] += by_group.difference.low <= a - b <= by_group.difference.high
                told[1] += alone.low <= a - b <= alone.high
                told[2] += by_group.conclusion in ("a is better", "b is better")
            yield f"| {count} | {name} | {' | '.join(f'{100 * n / GROUP_DRAWS:.1f}%' for n in told)} |"


def _share(event: Callable[[], bool]) -> str:
    return f"{100 * np.mean([event() for _ in range(DRAWS)]):.2f}%"


if __name__ == "__main__":
    main()
