"""How often intervals cover, tests reject and sets hold, where the truth is known.

    python -m benchmarks.coverage

Rates by exact binomial sums, everything else by seeded draws. Writes benchmarks/coverage_epyc_2cores_202611.md.
"""

import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import stats

from vitrail.core.machine import describe_machine
from vitrail.statistics.clustered import clustered_rate
from vitrail.statistics.conformal import SCORES, confident_enough, threshold, true_scores
from vitrail.statistics.intervals import normal_quantile, wilson
from vitrail.statistics.metrics import balanced_accuracy
from vitrail.statistics.paired import equivalence_p, holm, mcnemar_exact, paired_difference

# Letters: K counts, P rates, N examples, C classes, R draws.

DRAWS = 5_000
SIZES = (100, 1_000, 10_000)
LOWEST, HIGHEST, STEP, WINDOW = 0.5, 0.99, 0.0005, 0.02
RESULT = Path(__file__).with_name("coverage_epyc_2cores_202611.md")


def main() -> None:
    """Measure, and write the table beside this file."""
    lines = [__doc__.split("\n", 1)[0] if __doc__ else "", "", "    python -m benchmarks.coverage", ""]
    lines += [f"{describe_machine()}", ""]
    for part in (rates, balanced, differences, null_tests, sets, answers, groups):
        for line in part():
            print(line, flush=True)
            lines.append(line)
        lines.append("")
    RESULT.write_text("\n".join(lines))


def rate_coverage(n: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """The exact coverage of 95% intervals for a rate, at rates from LOWEST to HIGHEST: rates and coverages."""
    low_K, high_K = _limits(n, method)
    rate_P = np.arange(LOWEST, HIGHEST + STEP / 2, STEP)
    covered = np.empty(len(rate_P))
    for place, rate in enumerate(rate_P):
        # The counts that cover a rate are consecutive, since both limits grow with the count.
        first = int(np.searchsorted(high_K, rate, side="left"))
        last = int(np.searchsorted(low_K, rate, side="right")) - 1
        covered[place] = stats.binom.cdf(last, n, rate) - stats.binom.cdf(first - 1, n, rate)
    return rate_P, covered


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


def windowed(covered: np.ndarray) -> np.ndarray:
    """The mean over rates within WINDOW, where all of that lies inside the range."""
    wide = 2 * round(WINDOW / STEP) + 1
    return np.convolve(covered, np.ones(wide) / wide, mode="valid")


def rates() -> Iterator[str]:
    """Wilson and Clopper-Pearson, exactly."""
    yield f"## Rates, {LOWEST:g} to {HIGHEST:g}, exact binomial sums (promised 95%)"
    yield ""
    yield f"| interval | n | lowest, steps of {STEP:g} | steps of 0.01 | mean | over p ± {WINDOW:g}: lowest, highest |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for method in ("wilson", "clopper-pearson"):
        for n in SIZES:
            rate_P, covered = rate_coverage(n, method)
            near = windowed(covered)
            at, coarse = rate_P[covered.argmin()], covered[:: round(0.01 / STEP)]
            yield (
                f"| {method} | {n:,} | {100 * covered.min():.2f} at {at:.4f} | {100 * coarse.min():.2f} | "
                f"{100 * covered.mean():.2f} | "
                f"{100 * near.min():.2f}, {100 * near.max():.2f} |"
            )
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
            other_N = (label_N + 1) % (label_N[-1] + 1)
            found = balanced_accuracy(label_N, np.where(right_N, label_N, other_N), int(label_N[-1]) + 1)
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
            return p_values[0] < 0.05, min(holm(p_values)) < 0.05

        found = np.array([family() for _ in range(DRAWS)]).mean(axis=0)
        yield f"| McNemar, one pair | {n:,} | {100 * found[0]:.2f}% |"
        yield f"| Holm's family, any of 6 pairs | {n:,} | {100 * found[1]:.2f}% |"
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


def answers() -> Iterator[str]:
    """The confidence asked of an answer: how often its promise of 90% precision fails."""
    yield "## Answers above a confidence, 1,000 draws (promised: right in 90%, but for a risk of 10%)"
    yield ""
    yield "| calibration examples | promised something | promise failed |"
    yield "| --- | --- | --- |"
    draws = np.random.default_rng(4)
    for n in (200, 1_000):
        given, failed = 0, 0
        for _ in range(1_000):
            confidence_N = draws.uniform(0.3, 1.0, n)
            found = confident_enough(confidence_N, draws.random(n) < confidence_N, precision=0.9, risk=0.1)
            given += found is not None
            failed += found is not None and (1 + found) / 2 < 0.9  # the true precision above it
        yield f"| {n:,} | {given / 10:.1f}% | {failed / 10:.1f}% |"


def groups() -> Iterator[str]:
    """A rate of images in groups."""
    yield "## A rate of images in groups of 8, 2,000 draws (promised 95%)"
    yield ""
    yield "| groups | by group | as if independent |"
    yield "| --- | --- | --- |"
    draws = np.random.default_rng(5)
    truth = float(stats.norm.cdf(0.8 / math.sqrt(2)))
    for count in (20, 60, 200):
        held = np.zeros(2)
        for _ in range(2_000):
            group_N = np.repeat(np.arange(count), 8)
            right_N = draws.normal(size=count)[group_N] + draws.normal(size=8 * count) < 0.8
            both = clustered_rate(right_N, group_N), wilson(int(right_N.sum()), len(right_N))
            held += [one.low <= truth <= one.high for one in both]
        yield f"| {count} | {held[0] / 20:.1f}% | {held[1] / 20:.1f}% |"


def _share(event: Callable[[], bool]) -> str:
    return f"{100 * np.mean([event() for _ in range(DRAWS)]):.2f}%"


if __name__ == "__main__":
    main()
