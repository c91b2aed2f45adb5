"""How much the test accuracy of a head that is trained by chance depends on its refit, on ten small problems.

    python -m benchmarks.problems FEATURES.npz
    python -m benchmarks.refit_stability FEATURES.npz      (at any commit that has vitrail.search.tune)

The search is asked for one such kind alone; its winner is refitted on train and val under ten seeds, and for 3 epochs
less to 3 more. Prints the spread of the test accuracy in points: least to most, and the standard deviation.
"""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmarks.problems import Problem, draw_problems
from vitrail.search import TuneOptions, tune
from vitrail.search.examples import gather
from vitrail.search.families import FAMILIES

REFITS = [(seed, 0) for seed in range(10)] + [(0, more) for more in (-3, -2, -1, 1, 2, 3)]


def score_refits(problem: Problem, kind: str) -> np.ndarray:
    """Test accuracy of every refit."""
    options = TuneOptions(kinds=(kind,), label_curves=False, splits=0, seeds=1)
    search = tune(problem.rows, problem.split, problem.dataset, options)
    setting = dict(search.head.setting)
    epochs = int(setting.pop("epochs"))
    examples = gather(problem.rows, problem.split, problem.dataset)
    family = FAMILIES[kind]
    refit = getattr(family, "refit", family.fit)  # earlier commits have one function for both
    accuracies = []
    for seed, more in REFITS:
        winner = SimpleNamespace(setting=setting, epochs=max(1, epochs + more), scaling=setting["scaling"])
        fitted = refit(examples, np.arange(len(examples.ids)), winner, replace(options, seed=seed))
        accuracies.append(float((fitted.logits(problem.test_ND).argmax(axis=1) == problem.test_N).mean()))
    return np.array(accuracies)


def main() -> None:
    """Print a row for each problem and kind, on the first backbone, and the means."""
    print("| problem | kind | seeds: range, deviation | epochs ± 3: range, deviation |")
    print("| --- | --- | --- | --- |")
    for kind in ("softmax", "mlp"):
        figures = []
        for problem in draw_problems(Path(sys.argv[1]), seeds=1):
            if "vit_tiny" not in problem.name:
                continue
            points = 100 * score_refits(problem, kind)
            seeds, epochs = points[:10], np.append(points[10:], points[0])
            figures.append([np.ptp(seeds), seeds.std(ddof=1), np.ptp(epochs), epochs.std(ddof=1)])
            a, b, c, d = figures[-1]
            print(f"| {problem.name} | {kind} | {a:.1f}, {b:.2f} | {c:.1f}, {d:.2f} |", flush=True)
        a, b, c, d = np.mean(figures, axis=0)
        print(f"| mean | {kind} | {a:.1f}, {b:.2f} | {c:.1f}, {d:.2f} |", flush=True)


if __name__ == "__main__":
    main()
