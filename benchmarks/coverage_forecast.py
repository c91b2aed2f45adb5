"""How often the label forecast and the statements about training on other images hold, where the truth is known.

    python -m benchmarks.coverage_forecast [synthetic real pairs] [--repetitions 200]

`synthetic`: true power laws; images differ in difficulty, are scored by all heads and learnt from by four in five, and
each training image moves the accuracy of the heads that learn from it. `real`: features of our images; a pool of some
images a class is drawn, as many more are added, and the gain of the head of the pool is measured on all other images;
its average over the repetitions is the truth. Pools are a quarter of the images or less, since pools that share images
differ too little. `pairs`: two procedures that do equally well on average, each with a luck of its own in training.

"Before" is the code of commit ec0799b, read from the history of this repository: it forecast for the head that was
scored, with a 95% interval. Writes benchmarks/coverage_forecast_<hardware>_<yyyymm>.md, chapter by chapter.
"""

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
from scipy import stats

from benchmarks.problems import read_features
from benchmarks.results import keep_chapter
from vitrail.evaluation.contestants import Criteria
from vitrail.evaluation.pairs import judge_pairs
from vitrail.evaluation.retraining import judge_retrained_pairs, judge_retraining
from vitrail.heads import Fit
from vitrail.heads.logistic import fit_path
from vitrail.search import LabelForecast, SubsetScores, TuneOptions, make_label_curves
from vitrail.search.examples import Examples, Holdout
from vitrail.search.families import FAMILIES
from vitrail.search.finish import fit_on_subsets, out_of_fold
from vitrail.search.scored_trial import ScoredTrial
from vitrail.statistics.intervals import wilson
from vitrail.statistics.training_variance import HalvesScored

# Letters: N images, V draws, P points, C classes, D features, F folds, M scored images, R resamples.

BEFORE = "ec0799b"
LAWS = {  # a, b and c of the error with n images: a + b (n / pool)^-c
    "0 + 0.2 n^-0.5": (0.0, 0.2, 0.5),
    "0.1 + 0.1 n^-0.5": (0.1, 0.1, 0.5),
    "0 + 0.3 n^-0.25": (0.0, 0.3, 0.25),
    "0 + 0.2 n^-0.1": (0.0, 0.2, 0.1),
    "0 + 0.02 n^-0.8": (0.0, 0.02, 0.8),
    "0.1 + 0.03 n^-1": (0.1, 0.03, 1.0),
    "0.05 + 0.01 n^-1.5": (0.05, 0.01, 1.5),
    "0.02 + 0.05 n^-0.3": (0.02, 0.05, 0.3),
    "0.2 + 0.2 n^-0.15": (0.2, 0.2, 0.15),
}
POOLS = ((640, 20, 0.2), (3840, 40, 0.3))  # images, classes, and how much one training image moves the accuracy
FOLDS, PARTS, DRAWS_BEFORE = 5, ("half", "quarter", "eighth"), 3
DIFFICULTY = 0.7  # of the variance of being right that is the image's own
VIT, DEIT = "vit_tiny_patch16_224.augreg_in21k_ft_in1k", "deit_tiny_patch16_224.fb_in1k"
PROBLEMS = (  # data, backbone, classes, images of a class in the pool, C of the logistic head
    ("dogs", VIT, 40, 10, 0.03),
    ("dogs", VIT, 20, 10, 0.03),
    ("digits", "vit_mini", 10, 40, 0.1),
    ("flowers", DEIT, 20, 10, 0.1),
)
TEST = 300  # images on which a head of a pool is judged, for the statement about training


class World:
    """A pool of images with a law, for heads on any part of it."""

    def __init__(self, draws: np.random.Generator, law: tuple[float, float, float], N: int, luck: float) -> None:
        self.draws, self.law, self.N = draws, law, N
        self.influence_N = luck * draws.normal(size=N)
        self.difficulty_N = math.sqrt(DIFFICULTY) * draws.normal(size=N)

    def error(self, images: float) -> float:
        """The expected error with so many training images."""
        a, b, c = self.law
        return a + b * (images / self.N) ** -c

    def right(self, rows: np.ndarray, score: np.ndarray, noise_M: np.ndarray) -> np.ndarray:
        """Which of some images are right after fitting on `rows`."""
        accuracy = 1 - self.error(len(rows)) + float(self.influence_N[rows].mean())
        limit = stats.norm.ppf(min(max(accuracy, 1e-4), 1 - 1e-4))
        return np.asarray(self.difficulty_N[score] + math.sqrt(1 - DIFFICULTY) * noise_M < limit)

    def score_parts(self) -> SubsetScores:
        """What a search stores: every part of every fold."""
        right, fold_N = {}, self.draws.permutation(self.N) % FOLDS
        for fold in range(FOLDS):
            score, fit = np.flatnonzero(fold_N == fold), self.draws.permutation(np.flatnonzero(fold_N != fold))
            noise_M = self.draws.normal(size=len(score))
            for name, rows, noise in self._nest(fit, noise_M):
                right.setdefault(name, np.zeros(self.N, dtype=bool))[score] = self.right(rows, score, noise)
        label_N = np.arange(self.N) % 2
        return SubsetScores(
            ids=tuple(map(str, range(self.N))),
            label_N=label_N,
            group_N=np.arange(self.N),
            fold_N=fold_N,
            hardest=(),
            predicted={name: np.where(right_N, label_N, 1 - label_N) for name, right_N in right.items()},
        )

    def score_before(self) -> np.ndarray:
        """What a search stored before: P x V x N, three draws of an eighth, a quarter and a half, and all."""
        right_PVN = np.zeros((4, DRAWS_BEFORE, self.N), dtype=bool)
        fold_N = self.draws.permutation(self.N) % FOLDS
        for fold in range(FOLDS):
            score, fit = np.flatnonzero(fold_N == fold), np.flatnonzero(fold_N != fold)
            noise_M = self.draws.normal(size=len(score))
            for draw in range(DRAWS_BEFORE):
                for name, rows, noise in self._nest(self.draws.permutation(fit), noise_M):
                    if name != "other_half":
                        point = ("eighth", "quarter", "half", "all").index(name)
                        right_PVN[point, draw, score] = self.right(rows, score, noise)
        return right_PVN

    def _nest(self, rows: np.ndarray, noise_M: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Parts of shuffled rows with the noise of their heads: as alike as the parts of them that are the same."""
        yield "all", rows, noise_M
        for name in PARTS:
            half, own_M = len(rows) // 2, self.draws.normal(size=len(noise_M))
            if name == "half":
                yield "other_half", rows[half:], (noise_M - own_M) / math.sqrt(2)
            rows, noise_M = rows[:half], (noise_M + own_M) / math.sqrt(2)
            yield name, rows, noise_M


@dataclass
class Tally:
    """Forecasts of one truth: how many covered it, and how wide they were."""

    gains: list[float]
    lows: list[float]
    highs: list[float]
    refused: int = 0

    def add(self, forecast: LabelForecast | None) -> None:
        """One forecast, or None."""
        if forecast is None:
            self.refused += 1
            return
        self.gains.append(forecast.gain)
        self.lows.append(forecast.low)
        self.highs.append(forecast.high)

    def row(self, truth: float) -> str:
        """Coverage with its standard error, misses on both sides, width, mean and refusals, as cells of a table."""
        if not self.gains:
            return f"- | - | - | - | {self.refused}"
        low, high = np.array(self.lows), np.array(self.highs)
        n, covered = len(low), float(np.mean((low <= truth) & (truth <= high)))
        error = math.sqrt(max(covered * (1 - covered), 1 / n) / n)
        return (
            f"{100 * covered:.0f} ± {100 * error:.0f}% | {100 * np.mean(low > truth):.0f} and "
            f"{100 * np.mean(high < truth):.0f}% | {100 * float(np.mean(high - low)):.2f} | "
            f"{100 * float(np.mean(self.gains)):.2f} | {self.refused}"
        )


COLUMNS = "coverage | too high, too low | width | mean gain | refused"


def read_before() -> ModuleType:
    """The module of label curves as it was."""
    place = f"{BEFORE}:src/vitrail/search/curves.py"
    folder, command = Path(__file__).parent, ["git", "show", place]
    source = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    module = ModuleType("curves_before")
    sys.modules[module.__name__] = module  # dataclasses look it up
    exec(compile(source.stdout, place, "exec"), module.__dict__)  # our own code of an earlier commit
    return module


def synthetic(repetitions: int) -> Iterator[str]:
    """Forecasts of true power laws."""
    before = read_before()
    yield f"{repetitions} repetitions; gains and widths in points. After promises 90%, before 95%."
    yield ""
    earlier_columns = f"before, of the scored head: {COLUMNS} | before, of the kept head"
    yield f"| law | pool | true gain | after: {COLUMNS} | {earlier_columns} |"
    yield "| --- | --- | --- |" + " --- |" * 11
    for name, law in LAWS.items():
        for N, classes, luck in POOLS:
            draws, after, earlier = np.random.default_rng(N), Tally([], [], []), Tally([], [], [])
            for repetition in range(repetitions):
                world = World(draws, law, N, luck)
                (curve,) = make_label_curves(world.score_parts(), ("a", "b"), np.ones(N, dtype=bool))
                after.add(curve.forecast)
                right_PVN = world.score_before()
                accuracy_RP = before._resample(right_PVN, np.arange(N), repetition)
                images_P = 0.8 * N / classes * np.array(before.FRACTIONS)
                earlier.add(before._forecast(images_P, right_PVN.mean(axis=(1, 2)), accuracy_RP, labels=N))
            truth = world.error(N) - world.error(2 * N)
            scored = world.error(0.8 * N) - world.error(1.6 * N)
            kept = earlier.row(truth).split(" | ")[0]
            yield f"| {name} | {N} | {100 * truth:.2f} | {after.row(truth)} | {earlier.row(scored)} | {kept} |"


def real(repetitions: int) -> Iterator[str]:
    """Forecasts, and the statement about training on other images, on real features."""
    before = read_before()
    yield (
        f"{repetitions} repetitions; gains, widths and deviations in points. The logistic head has one strength. After "
        "promises 90%, before 95%."
    )
    yield ""
    yield (
        f"| data, classes, images a class | true gain | after: {COLUMNS} | before: {COLUMNS} | before, gain over truth "
        "| deviation between trainings: true | stated | average over trainings covered (promised 95%) | as by the test "
        "images alone | CPU s: after | before |"
    )
    yield "| --- | --- |" + " --- |" * 17
    for data, backbone, classes, size, strength in PROBLEMS:
        label_N, features = read_features(data, [backbone])
        yield _measure(before, features[backbone], label_N, (data, classes, size, strength), repetitions)


def _measure(
    before: ModuleType,
    feature_ND: np.ndarray,
    label_N: np.ndarray,
    problem: tuple[str, int, int, float],
    repetitions: int,
) -> str:
    data, classes, size, strength = problem
    draws, after, earlier = np.random.default_rng(size), Tally([], [], []), Tally([], [], [])
    options, seconds = TuneOptions(), np.zeros(2)
    winner = ScoredTrial(
        kind="logistic",
        setting={"C": strength, "scaling": "standardise"},
        nll_S=np.zeros(1),
        right_S=np.ones(1, dtype=bool),
        weight_norm=0.0,
        epochs=0,
        curve=(),
        seconds=0.0,
    )
    rates, squares, stated, tests = [], [], [], []
    chosen_C = draws.permutation(int(label_N.max()) + 1)[:classes]
    for _ in range(repetitions):
        order = [draws.permutation(np.flatnonzero(label_N == c)) for c in chosen_C]
        number = {int(c): place for place, c in enumerate(chosen_C)}

        def take(first: int, last: int | None, order: list[np.ndarray] = order) -> np.ndarray:
            return np.concatenate([rows[first:last] for rows in order])

        def labels(rows: np.ndarray, number: dict[int, int] = number) -> np.ndarray:
            return np.array([number[int(c)] for c in label_N[rows]])

        pool, more, rest = take(0, size), take(size, 2 * size), take(2 * size, None)
        examples = _make_examples(feature_ND[pool], labels(pool), classes, draws)
        begun = time.process_time()
        _, oof_NC = out_of_fold(examples, winner, options)
        scores = fit_on_subsets(examples, winner, options, oof_NC)
        assert scores is not None
        names = tuple(map(str, range(classes)))
        after.add(make_label_curves(scores, names, np.ones(len(pool), dtype=bool))[0].forecast)
        seconds[0] += time.process_time() - begun
        begun = time.process_time()
        train = partial(_train, examples, winner, options)
        earlier.add(before.fit_label_curve(examples, train, classes=names, growing=None, seed=0).forecast)
        seconds[1] += time.process_time() - begun
        truth_N, right = labels(rest), []
        for rows in (pool, more, np.concatenate([pool, more])):
            head = fit_path(
                feature_ND[rows], labels(rows), classes=classes, strengths=[strength], scaling="standardise"
            )[0]
            right.append(head.logits(feature_ND[rest]).argmax(axis=1) == truth_N)
        rates.append([right_N.mean() for right_N in right])
        lead_N = right[0].astype(float) - right[1]
        squares.append((lead_N.mean() ** 2 - lead_N.var(ddof=1) / len(rest)) / 2)
        test_N = right[0][draws.permutation(len(rest))[:TEST]]
        top1 = wilson(int(test_N.sum()), len(test_N))
        retraining = judge_retraining(top1, scores.halves(len(pool)))
        stated.append(retraining.deviation**2)
        tests.append((top1, retraining.accuracy))
    one, other, both = np.mean(rates, axis=0)
    truth, expected = float(both - (one + other) / 2), float((one + other) / 2)
    alone, wide = (np.mean([pair[k].low <= expected <= pair[k].high for pair in tests]) for k in (0, 1))
    true = math.sqrt(max(0.0, float(np.mean(squares))))
    return (
        f"| {data}, {classes}, {size} | {100 * truth:.2f} | {after.row(truth)} | {earlier.row(truth)} | "
        f"{100 * np.mean(np.array(earlier.gains)) / (100 * truth):.2f} times | {100 * true:.2f} | "
        f"{100 * math.sqrt(float(np.mean(stated))):.2f} | {100 * wide:.0f}% | {100 * alone:.0f}% | "
        f"{seconds[0] / repetitions:.2f} | {seconds[1] / repetitions:.2f} |"
    )


def _train(examples: Examples, winner: ScoredTrial, options: TuneOptions, rows: np.ndarray) -> Fit:
    return FAMILIES["logistic"].fit(examples, rows, winner, options)


def _make_examples(feature_ND: np.ndarray, label_N: np.ndarray, classes: int, draws: np.random.Generator) -> Examples:
    """A pool with five stratified folds and no val, as for small data."""
    N = len(label_N)
    order = draws.permutation(N)
    order = order[np.argsort(label_N[order], kind="stable")]
    fold_N = np.zeros(N, dtype=np.int64)
    fold_N[order] = np.arange(N) % FOLDS
    folds = tuple(
        Holdout(np.flatnonzero(fold_N != k), np.flatnonzero(fold_N == k), np.flatnonzero(fold_N == (k + 1) % FOLDS))
        for k in range(FOLDS)
    )
    ids = tuple(f"{row:08d}" for row in range(N))
    return Examples(ids, np.ascontiguousarray(feature_ND), label_N, np.arange(N), classes, folds, folds)


LUCKS = (0.0, 0.5, 1.0, 2.0)  # how much a training image moves an accuracy, in deviations of one scored image


def pairs(repetitions: int) -> Iterator[str]:
    """Two procedures of one expected accuracy: how often one is said to beat the other."""
    yield f"{repetitions * 10} repetitions; promised: at most 5% without the warning."
    yield ""
    yield (
        "| pool and test images | accuracy | deviation of the difference between trainings: true | stated | "
        '"beats" | "beats" without the warning | standard error |'
    )
    yield "| --- |" + " --- |" * 6
    for pool, test in ((640, 160), (1600, 400), (1600, 4000), (8000, 2000)):
        for accuracy in (0.8, 0.95):
            for luck in LUCKS:
                said, unwarned, stated = 0, 0, []
                draws = np.random.default_rng(pool)
                for _ in range(repetitions * 10):
                    right, halves = draw_procedures(draws, pool, test, accuracy, luck)
                    judged = judge_pairs(right, None, Criteria())
                    (retrained,) = judge_retrained_pairs(judged, halves, level=0.95)
                    beats = judged[0].conclusion in ("a is better", "b is better")
                    said += beats
                    unwarned += beats and not retrained.could_turn
                    stated.append(retrained.deviation**2)
                share, true = unwarned / (repetitions * 10), luck * math.sqrt(2 * accuracy * (1 - accuracy) / pool)
                error = math.sqrt(max(share * (1 - share), 1e-4) / (repetitions * 10))
                yield (
                    f"| {pool}, {test} | {100 * accuracy:.0f}% | {100 * true:.2f} | "
                    f"{100 * math.sqrt(float(np.mean(stated))):.2f} | {100 * said / (repetitions * 10):.1f}% | "
                    f"{100 * share:.1f}% | {100 * error:.1f}% |"
                )


def draw_procedures(
    draws: np.random.Generator, pool: int, test: int, accuracy: float, luck: float
) -> tuple[dict[str, np.ndarray], dict[str, HalvesScored]]:
    """Which test images the heads of two procedures get right, and their halves over the folds of one pool.

    Each training image moves each procedure by a draw of its own; the images differ in difficulty, alike for both.
    """
    difficulty_N, test_N = draws.normal(size=pool), draws.normal(size=test)
    fold_N = draws.permutation(pool) % FOLDS
    side_FN = draws.integers(0, 2, (FOLDS, pool))  # each fold halves the others anew

    def answer(hardness_N: np.ndarray, rate: float) -> np.ndarray:
        noise_N = draws.normal(size=len(hardness_N))
        limit = stats.norm.ppf(min(max(rate, 1e-4), 1 - 1e-4))
        return np.asarray(math.sqrt(DIFFICULTY) * hardness_N + math.sqrt(1 - DIFFICULTY) * noise_N < limit)

    right, halves = {}, {}
    for name in ("a", "b"):
        influence_N = luck * math.sqrt(accuracy * (1 - accuracy)) * draws.normal(size=pool)
        right[name] = answer(test_N, accuracy + float(influence_N.mean()))
        scored = np.zeros((2, pool), dtype=bool)
        for fold in range(FOLDS):
            rows = np.flatnonzero(fold_N == fold)
            for side in (0, 1):
                learnt = influence_N[(fold_N != fold) & (side_FN[fold] == side)]
                scored[side, rows] = answer(difficulty_N[rows], accuracy + float(learnt.mean()))
        halves[name] = HalvesScored(
            first_N=scored[0],
            second_N=scored[1],
            label_N=np.zeros(pool, dtype=np.int64),
            fold_N=fold_N,
            group_N=np.arange(pool),
            share=(1 - 1 / FOLDS) / 2,
        )
    return right, halves


CHAPTERS = {"synthetic": synthetic, "real": real, "pairs": pairs}


def main() -> None:
    """Measure the chapters that are asked for, and put them into the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("chapters", nargs="*", default=list(CHAPTERS))
    parser.add_argument("--repetitions", type=int, default=200)
    options = parser.parse_args()
    for name in options.chapters:
        lines = []
        for line in CHAPTERS[name](options.repetitions):
            print(line, flush=True)
            lines.append(line)
        keep_chapter("coverage_forecast", __doc__.split("\n", 1)[0], name, lines)


if __name__ == "__main__":
    main()
