"""How often the promises of a head's thresholds hold where the truth is known, at commit ec0799b and now.

    python -m benchmarks.promises

Draws from known curves, and from what a real head says of scikit-learn's digits: its out-of-fold answers are the
population, so that the precision and coverage of any threshold are known exactly. A group of digits is an image with
those most like it, or an image with frames of it. Part of benchmarks.coverage; writes
benchmarks/promises_<hardware>_<yyyymm>.md when run alone.
"""

import math
import time
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from benchmarks.results import machine_line, write_results
from vitrail.heads.bank import fill_bank, neighbour_distance, unit_rows
from vitrail.statistics.abstention import confident_enough
from vitrail.statistics.conformal import lac_scores, threshold, true_scores

# Letters: N images, G groups, P images of the population, M images of each of its groups.

DRAWS = 1_000
PRECISION, RISK, ALPHA, ALARMS, NEIGHBOURS = 0.95, 0.1, 0.1, 0.01, 10
HEADER = ("| data | groups of | before | after | draws | seconds |", "| --- | --- | --- | --- | --- | --- |")
Ways = tuple[float, float]  # before and after


def main() -> None:
    """Measure, and write the table beside this file."""
    lines = [*(__doc__ or "").split("\n\n")[0:2], "", machine_line(), ""]
    for line in promises():
        print(line, flush=True)
        lines.append(line)
    write_results("promises", lines)


def promises() -> Iterator[str]:
    """Every promise of the thresholds: confidence, sets, distance."""
    yield from independent_answers()
    yield ""
    yield from grouped_answers()
    yield ""
    yield from found_in_groups()
    yield ""
    yield from grouped_sets()
    yield ""
    yield from distances()


def _row(data: str, size: str, draw: Callable[[], Ways], draws: int = DRAWS) -> str:
    """One line of a table: means over draws, with two standard errors."""
    start = time.perf_counter()
    values = 100 * np.array([draw() for _ in range(draws)])
    seconds = time.perf_counter() - start
    error = 2 * values.std(axis=0) / math.sqrt(draws)
    before, after = (f"{mean:.1f} ± {noise:.1f}%" for mean, noise in zip(values.mean(axis=0), error, strict=True))
    return f"| {data} | {size} | {before} | {after} | {draws:,} | {seconds:.0f} |"


# What an image of rank u, from 0 for the surest to 1, is right with; and the surest so many, together.
Curve = Callable[[np.ndarray], np.ndarray]
CURVES: dict[str, Curve] = {
    "right in 97% everywhere": lambda u: np.full_like(u, 0.97),
    "right in 94.9% everywhere": lambda u: np.full_like(u, 0.949),
    "99 falling to 85%": lambda u: 0.99 - 0.14 * u,
    "100 falling to 70%": lambda u: 1 - 0.3 * u,
    "98%, the last fifth 60%": lambda u: np.where(u < 0.8, 0.98, 0.6),
    "the surest 2% in 90%, then 98.5, the last 30% in 70": lambda u: np.select([u < 0.02, u < 0.7], [0.9, 0.985], 0.7),
    "in waves round 95%": lambda u: 0.95 + 0.04 * np.sin(25 * u),
}


def precision_above(curve: Curve, rank: float) -> float:
    """The precision of all images up to this rank."""
    return float(curve(np.linspace(0, max(rank, 1e-9), 20_001)).mean())


def single_sequence(confidence_N: np.ndarray, correct_N: np.ndarray) -> float | None:
    """The confidence as of commit ec0799b: one sequence of tests, which ends at its first failure."""
    order_N = np.argsort(-confidence_N, kind="stable")
    sorted_N, right_N = confidence_N[order_N], np.cumsum(correct_N[order_N])
    ends = np.flatnonzero(np.append(sorted_N[1:] != sorted_N[:-1], True))
    ends = ends[ends + 1 >= math.ceil(math.log(RISK) / math.log(PRECISION))]
    total, right = ends + 1, right_N[ends]
    low = np.where(right > 0, stats.beta.ppf(RISK, np.maximum(right, 1), total - right + 1), 0.0)
    failed = np.flatnonzero(low < PRECISION)
    kept = ends[: failed[0]] if len(failed) else ends
    return float(sorted_N[kept[-1]]) if len(kept) else None


def _now(confidence_N: np.ndarray, correct_N: np.ndarray, group_N: np.ndarray | None = None) -> float | None:
    return confident_enough(confidence_N, correct_N, precision=PRECISION, risk=RISK, group_N=group_N)


def independent_answers() -> Iterator[str]:
    """How often a threshold is found, how often it promises falsely, and how much is then answered."""
    yield f"## Answers above a confidence, independent images (right in {PRECISION:.0%}, but for a risk of {RISK:.0%})"
    yield ""
    yield "| data | images | found before | after | failed before | after | answered before | after | draws | seconds |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, curve in CURVES.items():
        for n in (300, 2_000):
            yield _answers_row(name, n, curve)
    confidence_P, right_P = (value[:, 0] for value in digit_groups(1)[:2])
    order_P = np.argsort(-confidence_P, kind="stable")

    def digits(rank_N: np.ndarray) -> np.ndarray:
        return np.asarray(right_P[order_P][np.minimum(rank_N * len(order_P), len(order_P) - 1).astype(int)], float)

    for n in (300, 2_000):
        yield _answers_row(f"a head on noisy digits, right in {right_P.mean():.1%}", n, digits)


def _answers_row(name: str, n: int, curve: Curve) -> str:
    draws, start = np.random.default_rng(4), time.perf_counter()
    truth = cache(lambda thousandth: precision_above(curve, thousandth / 1000) < PRECISION)
    told = np.zeros((DRAWS, 6))
    for row in range(DRAWS):
        rank_N = draws.random(n)
        right_N = draws.random(n) < curve(rank_N)
        for way, found in enumerate((single_sequence(1 - rank_N, right_N), _now(1 - rank_N, right_N))):
            if found is not None:
                told[row, way::2] = 1, truth(round(1000 * (1 - found))), 1 - found
    mean, noise = 100 * told.mean(axis=0), 200 * told.std(axis=0) / math.sqrt(DRAWS)
    cells = " | ".join(f"{value:.1f} ± {error:.1f}%" for value, error in zip(mean, noise, strict=True))
    return f"| {name} | {n:,} | {cells} | {DRAWS:,} | {time.perf_counter() - start:.0f} |"


@cache
def digit_answers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, probabilities and labels of digits: a logistic head's out-of-fold answers, on images with noise."""
    digits = load_digits()
    feature_PD = digits.data / 16 + 0.25 * np.random.default_rng(0).normal(size=digits.data.shape)
    probability_PC = cross_val_predict(
        LogisticRegression(C=0.3, max_iter=500), feature_PD, digits.target, cv=5, method="predict_proba"
    )
    return feature_PD.astype(np.float32), probability_PC, digits.target


@cache
def digit_groups(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every image with those most like it: confidence, correctness and score of the true class, each P x M."""
    feature_PD, probability_PC, label_P = digit_answers()
    near_PP = unit_rows(feature_PD) @ unit_rows(feature_PD).T
    np.fill_diagonal(near_PP, 2.0)
    member_PM = np.argsort(-near_PP, axis=1)[:, :size]
    right_P = probability_PC.argmax(axis=1) == label_P
    score_P = true_scores(lac_scores(probability_PC), label_P)
    return probability_PC.max(axis=1)[member_PM], right_P[member_PM], score_P[member_PM]


def draw_luck(draws: np.random.Generator, count: int, size: int, alike: float) -> tuple[np.ndarray, np.ndarray]:
    """Rank and luck of images, uniform; this share of either is their group's."""
    ranks = []
    for share in (min(alike, 0.5), alike):
        own = draws.normal(size=(count, size))
        ranks.append(stats.norm.cdf(math.sqrt(share) * draws.normal(size=(count, 1)) + math.sqrt(1 - share) * own))
    return ranks[0], ranks[1]


def grouped_answers() -> Iterator[str]:
    """How often a promised precision fails for images of new groups."""
    yield f"## A promised precision fails for images from new groups, 2,000 images (promised: in {RISK:.0%} at most)"
    yield ""
    yield from HEADER
    for name in ("right in 94.9% everywhere", "99 falling to 85%"):
        for size in (1, 4, 8, 20):
            for alike in (0.3, 0.9):
                sizes_G = np.full(2_000 // size, size)
                yield _row(
                    f"{name}; groups share {alike:.0%} of their luck", str(size), _draw_curve(name, sizes_G, alike)
                )
        for alike in (0.3, 0.9):
            uneven_G = np.clip(np.round(3 * np.random.default_rng(10).lognormal(0, 1, 400)), 1, 40).astype(int)
            yield _row(f"{name}; groups share {alike:.0%} of their luck", "1 to 40", _draw_curve(name, uneven_G, alike))
    for size in (1, 4, 8):
        yield _row("a head on noisy digits, groups of like images", str(size), _draw_digits(size))


def _draw_curve(name: str, size_G: np.ndarray, alike: float) -> Callable[[], Ways]:
    draws, curve = np.random.default_rng(5), CURVES[name]
    group_N = np.repeat(np.arange(len(size_G)), size_G)
    there_GM = np.arange(size_G.max()) < size_G[:, None]

    def draw() -> Ways:
        rank_GM, luck_GM = draw_luck(draws, len(size_G), int(size_G.max()), alike)
        rank_N, right_N = rank_GM[there_GM], (luck_GM < curve(rank_GM))[there_GM]
        found = single_sequence(1 - rank_N, right_N), _now(1 - rank_N, right_N, group_N)
        before, after = (t is not None and precision_above(curve, 1 - t) < PRECISION for t in found)
        return before, after

    return draw


def _draw_digits(size: int) -> Callable[[], Ways]:
    draws, (confidence_PM, right_PM, _) = np.random.default_rng(6), digit_groups(size)
    group_N = np.repeat(np.arange(2_000 // size), size)

    def draw() -> Ways:
        drawn_G = draws.integers(0, len(right_PM), 2_000 // size)
        confidence_N, right_N = confidence_PM[drawn_G].ravel(), right_PM[drawn_G].ravel()
        found = single_sequence(confidence_N, right_N), _now(confidence_N, right_N, group_N)
        before, after = (t is not None and right_PM[confidence_PM >= t].mean() < PRECISION for t in found)
        return before, after

    return draw


def found_in_groups() -> Iterator[str]:
    """How often a threshold is found: with one image of each group, drawn at random, and with all of them."""
    yield "## A threshold is found with heads that are right in 97%, 2,000 images"
    yield ""
    yield "| data | groups of | one image a group | all images | draws | seconds |"
    yield HEADER[1]
    for size in (4, 8):
        for alike in (0.3, 0.9):
            draws, group_N = np.random.default_rng(9), np.repeat(np.arange(2_000 // size), size)

            def draw(
                size: int = size,
                alike: float = alike,
                draws: np.random.Generator = draws,
                group_N: np.ndarray = group_N,
            ) -> Ways:
                rank_GM, luck_GM = draw_luck(draws, 2_000 // size, size, alike)
                right_GM = luck_GM < 0.97  # images of a group are exchangeable: the first is drawn at random
                one = _now(1 - rank_GM[:, 0], right_GM[:, 0])
                return one is not None, _now(1 - rank_GM.ravel(), right_GM.ravel(), group_N) is not None

            yield _row(f"groups share {alike:.0%} of their luck", str(size), draw)


def grouped_sets() -> Iterator[str]:
    """How often sets hold the class of images of new groups."""
    yield f"## Sets of classes hold the class of images from new groups, 600 images (promised {1 - ALPHA:.0%})"
    yield ""
    yield from HEADER
    for size in (1, 4, 8, 20):
        draws, score_PM = np.random.default_rng(7), digit_groups(size)[2]

        def draw(size: int = size, draws: np.random.Generator = draws, score_PM: np.ndarray = score_PM) -> Ways:
            drawn_G = draws.integers(0, len(score_PM), 600 // size)
            score_N, group_N = score_PM[drawn_G].ravel(), np.repeat(np.arange(600 // size), size)
            limits = threshold(score_N, ALPHA), threshold(score_N, ALPHA, group_N)
            before, after = (float((score_PM <= limit).mean()) for limit in limits)
            return before, after

        yield _row("a head on noisy digits, groups of like images", str(size), draw)


def distances() -> Iterator[str]:
    """How many images of new groups are unlike any training image."""
    yield f"## Images from new groups flagged as unlike any training image, 1,800 images ({ALARMS:.0%} expected)"
    yield ""
    yield from HEADER
    digit_PD = digit_answers()[0]
    for spread in (0.05, 0.2):
        for size in (1, 4, 12):
            draws, count = np.random.default_rng(8), min(1_800 // size, len(digit_PD) // 2)

            def draw(
                size: int = size, count: int = count, draws: np.random.Generator = draws, spread: float = spread
            ) -> Ways:
                anchor_G = draws.permutation(len(digit_PD))[: 2 * count]
                frame_ND = np.repeat(digit_PD[anchor_G], size, axis=0)
                frame_ND += spread * draws.normal(size=frame_ND.shape).astype(np.float32)
                old_ND, new_ND = np.split(frame_ND, 2)
                group_N = np.repeat(np.arange(count), size)
                banks = (fill_bank([str(row) for row in range(len(old_ND))], old_ND, g) for g in (None, group_N))
                before, after = (
                    float((neighbour_distance(new_ND, bank.row_BD, NEIGHBOURS) > bank.distance).mean())
                    for bank in banks
                )
                return before, after

            yield _row(f"digits, frames {spread:g} apart a pixel", str(size), draw, 40)


if __name__ == "__main__":
    main()
