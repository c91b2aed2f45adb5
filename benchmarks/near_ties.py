"""Races of real backbones that nearly tie: the pick among the finalists beside the pick among all candidates.

    python -m benchmarks.near_ties [DATA...] [--cache FOLDER]     (dogs, flowers, digits; extra openvino and ../shared)

The candidates (`near_tie_candidates.py`) are four backbones at several input sizes, depths and poolings. A seed splits
all images into train and test and orders the images of the looks. Then the candidates race on train by the rule of
`vitrail bench` (`run_race`, margin 1 point, level 95%), and the pick is the finalist whose ridge head has the best
leave-one-out accuracy on all of train; of equals the one with fewer multiply-adds. Without a race the pick is made in
the same way among all candidates. Both heads are then judged on the test images.

Writes the chapters of benchmarks/near_ties_<hardware>_<yyyymm>.md. The cache keeps features, so that a rerun is cheap.
"""

import argparse
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.near_tie_candidates import CANDIDATES, PUBLISHED, Candidate, read_features
from benchmarks.problems import SHARED, SOURCES, make_dataset
from benchmarks.results import keep_chapter
from vitrail.candidates.race import RaceDeparture, RaceRules, run_race
from vitrail.candidates.race_judge import find_right
from vitrail.candidates.run_race import LEAST_TRAIN
from vitrail.data import Dataset, SplitOptions, load, make_split, open_source
from vitrail.data.nested_subsets import plan_nested_subsets
from vitrail.heads.ridge import RidgePath
from vitrail.search.options import ALPHAS

# Letters: N images, D features.

MARGIN = 0.01
NEAR = 0.02  # candidates whose test accuracies differ by no more are near ties
SEEDS = 10
Features = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What one seed gave: accuracies by candidate, left out on all of train and on the test, the race, and the picks.

    `raced` is the pick with a race and `unraced` the one without. `cost` is the share of the multiply-adds of running
    all candidates on all of train. `train` and `test_images` count images, `sizes` those of each planned look.
    """

    left_out: Mapping[str, float]
    test: Mapping[str, float]
    finalists: tuple[str, ...]
    departures: tuple[RaceDeparture, ...]
    raced: str
    unraced: str
    cost: float
    train: int
    test_images: int
    sizes: tuple[int, ...]


def run_trial(features: Features, label_N: NDArray[np.int64], gmacs: Mapping[str, float], seed: int) -> Trial:
    """Split, let the candidates race on train, and judge all of them on the other images."""
    dataset, split, _ = make_split(make_dataset(label_N), SplitOptions(seed=seed))
    train = _rows(split.train)
    test = np.setdiff1d(np.arange(len(label_N)), train)
    subsets, classes = plan_nested_subsets(dataset, split), len(dataset.classes)
    looked_at = _rows(subsets.ids)

    def answer(names: tuple[str, ...], images: int) -> dict[str, NDArray[np.bool_]]:
        rows, label_M = looked_at[:images], subsets.label_M[:images]
        return {name: find_right(features[name][rows], label_M, classes=classes, group_N=None) for name in names}

    rules = RaceRules(heats=dict.fromkeys(features, ""), images=len(train), sizes=subsets.sizes, margin=MARGIN)
    race = run_race(rules, answer)
    left_out, accuracy = {}, {}
    for name, feature_ND in features.items():
        path = RidgePath(feature_ND[train], label_N[train], classes=classes)
        head = path.fit(min(ALPHAS, key=lambda alpha, path=path: path.leave_one_out(alpha).error))
        left_out[name] = head.left_out.accuracy
        accuracy[name] = float((head.logits(feature_ND[test]).argmax(axis=1) == label_N[test]).mean())
    return Trial(
        left_out=left_out,
        test=accuracy,
        finalists=race.finalists,
        departures=race.departures,
        raced=choose(race.finalists, left_out, gmacs),
        unraced=choose(race.candidates, left_out, gmacs),
        cost=race.share_of_cost(gmacs),
        train=len(train),
        test_images=len(test),
        sizes=subsets.sizes,
    )


def _rows(ids: Sequence[str]) -> NDArray[np.int64]:
    """The rows whose ids `make_dataset` wrote."""
    return np.array([int(id_, 16) for id_ in ids])


def show_races(data: str, cache: Path) -> Iterator[str]:
    """The lines of a chapter."""
    place = SOURCES[data]
    dataset = load(open_source(None if place is None else SHARED / "data" / place))
    features, label_N = read_features(dataset, cache), dataset.table["label"].to_numpy().astype(np.int64)
    gmacs = {candidate.name: candidate.gmacs for candidate in CANDIDATES}
    trials = []
    for seed in range(SEEDS):
        trials.append(run_trial(features, label_N, gmacs, seed))
        print(f"{data}, seed {seed}: {len(trials[-1].finalists)} finalists, cost {trials[-1].cost:.2f}", flush=True)
    yield from describe_data(data, dataset, trials)
    yield ""
    yield from tabulate_picks(trials, gmacs)
    yield ""
    yield check_departures(trials)
    yield ""
    yield from tabulate_candidates(trials, gmacs)


def describe_data(data: str, dataset: Dataset, trials: Sequence[Trial]) -> Iterator[str]:
    """What was measured, and what was not."""
    first = trials[0]
    yield (
        f"{dataset.table.num_rows:,} images of {len(dataset.classes)} classes; for each of {len(trials)} seeds "
        f"{first.train:,} are train and {first.test_images:,} test, the looks have "
        f"{', '.join(f'{size:,}' for size in first.sizes)} images, and {len(CANDIDATES)} candidates race in one heat."
    )
    if data == "dogs":
        yield (
            "All four backbones were pretrained on these very images, so all are known to have seen them: one heat. In "
            "a first run only three candidates were within 2 points of the best here; DeiT-Ti at 208 pixels and "
            "ResNet-50 at 192 were added for all data, and everything was measured again."
        )
    if first.train < LEAST_TRAIN:
        yield (
            f"`vitrail bench` holds no race with fewer than {LEAST_TRAIN:,} training images: here the rule is tried "
            "outside of its use."
        )
    yield (
        "Ridge heads stand for the search of a run, which was not repeated for each seed; no near-duplicates were "
        "searched. Features are in bfloat16. Every candidate counts as a network of its own, though some share a pass."
    )
    yield (
        "Seeds share images, so their results are not independent: standard errors (±) and the ends of 95% intervals "
        "(<= x) are over the seeds alone, and the truth may be further away."
    )


def choose(names: Sequence[str], accuracy: Mapping[str, float], gmacs: Mapping[str, float]) -> str:
    """The most accurate candidate; of equals the one with the fewest multiply-adds."""
    return max(names, key=lambda name: (accuracy[name], -gmacs[name]))


def tabulate_picks(trials: Sequence[Trial], gmacs: Mapping[str, float]) -> Iterator[str]:
    """A row for each way to pick, compared with the pick without a race."""
    largest = max(gmacs, key=lambda name: gmacs[name])
    published = choose_published().name
    total = sum(gmacs.values())
    ways: dict[str, tuple[Callable[[Trial], str], Callable[[Trial], float]]] = {
        "the race": (lambda trial: trial.raced, lambda trial: trial.cost),
        f"the largest: {largest}": (lambda trial: largest, lambda trial: gmacs[largest] / total),
        f"the best on ImageNet: {published}": (lambda trial: published, lambda trial: gmacs[published] / total),
    }
    yield (
        "| pick | the same as without a race | left-out accuracy more than 1 point below the best | the most below, "
        "points | test accuracy more than 1 point below the pick without a race | test accuracy minus that pick's, "
        "points | multiply-adds beside running all |"
    )
    yield "| --- " * 7 + "|"
    for way, (pick, cost) in ways.items():
        same, below, behind, costs = [], [], [], []
        for trial in trials:
            name, best = pick(trial), trial.unraced
            same.append(name == best)
            below.append(trial.left_out[best] - trial.left_out[name])
            behind.append(trial.test[best] - trial.test[name])
            costs.append(cost(trial))
        yield (
            f"| {way} | {sum(same)} of {len(same)} | {_rate(below)} | {100 * max(below):.1f} | {_rate(behind)} | "
            f"{0 - 100 * np.mean(behind):+.2f} ± {100 * _standard_error(behind):.2f} | {np.mean(costs):.2f} |"
        )
    finalists = [len(trial.finalists) for trial in trials]
    costs = [trial.cost for trial in trials]
    yield ""
    yield (
        f"Finalists of a race: {np.mean(finalists):.1f} on average, {min(finalists)} to {max(finalists)}; "
        f"multiply-adds {min(costs):.2f} to {max(costs):.2f} of running all candidates on all of train. The largest "
        "has the most multiply-adds, and no candidate has more parameters. The best on ImageNet goes by published "
        "accuracies of whole networks; going by those of the originals of the quantised ones it would be the largest."
    )


def check_departures(trials: Sequence[Trial]) -> str:
    """How candidates that left compare in the end with the leader of that look, beside what the race said of them."""
    left = [(trial.left_out, departure) for trial in trials for departure in trial.departures]
    if not left:
        return "No candidate left."
    lead = np.array([left_out[departure.name] - left_out[departure.leader] for left_out, departure in left])
    limit = np.array([departure.bound + departure.allowance for _, departure in left])
    gain = lead - np.array([departure.difference for _, departure in left])
    forecast = np.array([departure.gain for _, departure in left])
    return (
        f"Candidates left {len(left)} times in all races. By left-out accuracy on all of train they were better than "
        f"the leader of the look at which they left {(lead > 0).sum()} times, and by more than 1 point "
        f"{(lead > MARGIN + 1e-9).sum()} times. The bound plus the allowance, which forecasts a limit for that lead, "
        f"was too low {(lead > limit).sum()} times, by at most {100 * max(0, (lead - limit).max()):.1f} points. Their "
        f"gain on that leader was above the carried-on forecast alone {(gain > forecast).sum()} times, by "
        f"{100 * np.median(gain - forecast):.1f} points in the median over all."
    )


def choose_published() -> Candidate:
    """The candidate with the best published accuracy on ImageNet, which is that of a whole network at its own size."""
    return max((each for each in CANDIDATES if each.is_published), key=lambda each: PUBLISHED[each.weights])


def _rate(shortfalls: Sequence[float]) -> str:
    """How many are beyond the margin, with the upper end of the 95% interval (Clopper and Pearson)."""
    count, total = sum(shortfall > MARGIN + 1e-9 for shortfall in shortfalls), len(shortfalls)
    return f"{count} of {total} (<= {stats.binomtest(count, total).proportion_ci(0.95).high:.0%})"


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))


def tabulate_candidates(trials: Sequence[Trial], gmacs: Mapping[str, float]) -> Iterator[str]:
    """A sentence about near ties, and a row for each candidate, the most accurate on the test first."""
    mean = {name: float(np.mean([trial.test[name] for trial in trials])) for name in gmacs}
    order = sorted(gmacs, key=lambda name: -mean[name])
    near = sum(mean[name] >= mean[order[0]] - NEAR for name in order)
    crowd = max(sum(mean[low] <= mean[name] <= mean[low] + NEAR for name in order) for low in order)
    yield (
        f"Candidates whose mean test accuracy is within {100 * NEAR:.0f} points of the best, itself included: "
        f"{near} of {len(order)}. Within {100 * NEAR:.0f} points of each other: up to {crowd}."
    )
    yield ""
    yield (
        "| candidate | GMACs | test accuracy, mean | left-out accuracy, mean | finalist in | picked with a race in | "
        "picked without a race in |"
    )
    yield "| --- " * 7 + "|"
    raced, unraced = [trial.raced for trial in trials], [trial.unraced for trial in trials]
    for name in order:
        left_out = np.mean([trial.left_out[name] for trial in trials])
        yield (
            f"| {name} | {gmacs[name]:.2f} | {100 * mean[name]:.1f}% | {100 * left_out:.1f}% | "
            f"{sum(name in trial.finalists for trial in trials)} | {raced.count(name)} | {unraced.count(name)} |"
        )


def main() -> None:
    """Measure the data sets that are named, or all, and write their chapters beside this file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="*", default=list(SOURCES))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "vitrail_near_ties")
    options = parser.parse_args()
    promise = (__doc__ or "").splitlines()[0]
    for data in options.data:
        lines = []
        for line in show_races(data, options.cache):
            print(line, flush=True)
            lines.append(line)
        keep_chapter("near_ties", promise, data, lines)


if __name__ == "__main__":
    main()
