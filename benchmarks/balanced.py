"""Classes of very different sizes, 20 to 1: `--balanced` beside the default and scikit-learn's class_weight="balanced".

    python -m benchmarks.problems FEATURES.npz
    python -m benchmarks.balanced FEATURES.npz RESULT.jsonl     (at any commit that has vitrail.search.tune)
    python -m benchmarks.balanced --table BEFORE.jsonl AFTER.jsonl     (writes the page)

Classes are breeds, flowers, digits or drawn clusters. Dogs and flowers have 40 images of each breed, so that a large
class is several of them: such classes are uneven inside, which suits nearest neighbours. The sizes fall evenly, on a
log scale, from the largest class to a twentieth of it; all other images are the test. Figures count every class the
same: the mean of the classes' accuracies, and the mean over classes of the mean negative log likelihood (nats). scikit-
learn is LogisticRegressionCV: 13 strengths, five stratified folds, standardised, class_weight="balanced", scored by the
same likelihood over classes. Its probabilities are temperature-scaled by that likelihood on out-of-fold scores of the
chosen strength.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.problems import WEIGHTS, Problem, make_problem
from benchmarks.report import Page
from vitrail.heads import probabilities
from vitrail.heads.head import log_softmax
from vitrail.search import TuneOptions, tune

OPTIONS = TuneOptions(label_curves=False, splits=0, seeds=1, trials=8)
KINDS = ("logistic", "ridge", "centroid", "knn", "softmax", "mlp")
STRENGTHS = np.logspace(-4, 2, 13)
SEEDS = 5
KIND_SEEDS = 2
RATIO = 20
LEAST_TESTED = 20  # images of each class
LEAST = 10  # images of the smallest class, a fifth of them for the test of the split
PROBLEMS = (  # data, classes, images of the largest class
    ("dogs", 2, 600), ("dogs", 6, 240), ("dogs", 20, 200), ("flowers", 4, 200), ("digits", 10, 160),
    ("clusters", 2, 400), ("clusters", 5, 400), ("clusters", 30, 200),
)  # fmt: skip
CLUSTERS_D = 64


def draw_problems(features: Path, *, seeds: int) -> Iterator[Problem]:
    """Every problem with every seed; the backbones take turns."""
    stored = np.load(features)
    for seed in range(seeds):
        for name, classes, largest in PROBLEMS:
            draws = np.random.default_rng([seed, classes, largest])
            size_C = np.round(np.geomspace(largest, max(largest / RATIO, LEAST), classes)).astype(int)
            backbone = list(WEIGHTS)[seed % len(WEIGHTS)]
            if name == "clusters":
                row_ND, label_N = _draw_clusters(size_C, draws)
            else:
                row_ND, label_N = _merge_classes(stored[f"{name}/{backbone}"], stored[f"{name}/labels"], size_C, draws)
            order = draws.permutation(len(label_N))
            row_ND, label_N = row_ND[order], label_N[order]
            rank_N = np.array([np.sum(label_N[:place] == label) for place, label in enumerate(label_N)])
            learnt_N = rank_N < size_C[label_N]
            title = f"{name} {classes}, {size_C[0]} to {size_C[-1]}, {backbone.split('.')[0]}, seed {seed}"
            yield make_problem(title, row_ND[learnt_N], label_N[learnt_N], row_ND[~learnt_N], label_N[~learnt_N])


def _draw_clusters(size_C: np.ndarray, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes, each of 200 rows more than are learnt from."""
    centre_CD = 0.35 * draws.normal(size=(len(size_C), CLUSTERS_D))
    label_N = np.repeat(np.arange(len(size_C)), size_C + 200)
    return (centre_CD[label_N] + draws.normal(size=(len(label_N), CLUSTERS_D))).astype(np.float32), label_N


def _merge_classes(
    row_ND: np.ndarray, kind_N: np.ndarray, size_C: np.ndarray, draws: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """As many breeds for each class as its size needs."""
    kinds = draws.permutation(np.unique(kind_N))
    per_kind = np.bincount(kind_N).min()
    class_of, place = np.full(len(kinds), -1), 0
    for label, size in enumerate(size_C):
        count = int(np.ceil((size + LEAST_TESTED) / per_kind)) if len(size_C) < len(kinds) else 1
        class_of[kinds[place : place + count]] = label
        place += count
    if place > len(kinds):
        raise ValueError(f"{len(size_C)} classes of up to {size_C[0]} images need {place} breeds of {len(kinds)}.")
    used_N = class_of[kind_N] >= 0
    return row_ND[used_N], class_of[kind_N[used_N]]


def score(log_NC: np.ndarray, label_N: np.ndarray) -> dict[str, float]:
    """Balanced accuracy, balanced negative log likelihood, and the plain ones."""
    right_N = log_NC.argmax(axis=1) == label_N
    nll_N = -np.maximum(log_NC[np.arange(len(label_N)), label_N], np.log(1e-12))
    return {
        "accuracy": over_classes(right_N, label_N),
        "nll": over_classes(nll_N, label_N),
        "plain_accuracy": float(right_N.mean()),
        "plain_nll": float(nll_N.mean()),
    }


def over_classes(value_N: np.ndarray, label_N: np.ndarray) -> float:
    """The mean over classes of their mean."""
    return float(np.mean([value_N[label_N == label].mean() for label in np.unique(label_N)]))


def run_ours(problem: Problem, options: TuneOptions) -> dict[str, float | str]:
    """The search, and its head on the test images."""
    begun = time.process_time()
    search = tune(problem.rows, problem.split, problem.dataset, options)
    seconds = time.process_time() - begun
    log_NC = np.log(probabilities(search.head, problem.test_ND))
    return {**score(log_NC, problem.test_N), "kind": search.winner.kind, "cpu_s": seconds}


def run_sklearn(problem: Problem) -> dict[str, float]:
    """LogisticRegressionCV with balanced weights on the same rows."""
    row_ND, label_N = problem.learnt_ND, problem.learnt_N
    folds, begun = StratifiedKFold(5, shuffle=True, random_state=0), time.process_time()
    search = LogisticRegressionCV(
        Cs=STRENGTHS,
        cv=folds,
        scoring=lambda fit, some_ND, some_N: -score(fit.predict_log_proba(some_ND), some_N)["nll"],
        class_weight="balanced",
        max_iter=1000,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )
    fitted = make_pipeline(StandardScaler(), search).fit(row_ND, label_N)
    seconds = time.process_time() - begun
    strength = float(np.ravel(search.C_)[0])
    again = make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=1000))
    out_NC = two_columns(cross_val_predict(again, row_ND, label_N, cv=folds, method="decision_function"))

    def loss(log_temperature: float) -> float:
        return score(log_softmax(out_NC / np.exp(log_temperature)), label_N)["nll"]

    temperature = float(np.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x))
    log_NC = log_softmax(two_columns(fitted.decision_function(problem.test_ND)) / temperature)
    return score(log_NC, problem.test_N) | {"cpu_s": seconds}


def two_columns(score_N: np.ndarray) -> np.ndarray:
    """A column for each of two classes, of which scikit-learn scores the second alone."""
    return np.stack([-score_N / 2, score_N / 2], axis=1) if score_N.ndim == 1 else score_N


def measure(features: Path, result: Path) -> None:
    """Every problem with every seed, a line each; those that the file has already are not done again.

    Each is searched balanced and not, with all kinds of heads and, in the first seeds, with each kind alone.
    """
    known = {row["problem"] for row in read_rows(result)} if result.exists() else set()
    for number, problem in enumerate(draw_problems(features, seeds=SEEDS)):
        if problem.name in known:
            continue
        row: dict[str, object] = {"problem": problem.name, "train": len(problem.learnt_N)}
        row["sklearn"] = run_sklearn(problem)
        for balanced in (True, False):
            options = replace(OPTIONS, balanced=balanced)
            title = "balanced" if balanced else "plain"
            row[title] = run_ours(problem, options)
            for kind in KINDS if number < KIND_SEEDS * len(PROBLEMS) else ():
                row[f"{kind}, {title}"] = run_ours(problem, replace(options, kinds=(kind,), trials=4))
        with result.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(problem.name, flush=True)


def read_rows(result: Path) -> list[dict[str, dict[str, float]]]:
    """What `measure` wrote."""
    return [json.loads(line) for line in result.read_text().splitlines()]


def mean_and_error(values: Sequence[float], digits: int) -> str:
    """A mean with its standard error."""
    return f"{np.mean(values):+.{digits}f} ({np.std(values, ddof=1) / len(values) ** 0.5:.{digits}f})"


def column(rows: list[dict[str, dict[str, float]]], name: str) -> list[dict[str, float]]:
    """The figures of one way, of the draws that have it."""
    return [row[name] for row in rows if name in row]


def write_table(before: list[dict[str, dict[str, float]]], after: list[dict[str, dict[str, float]]]) -> None:
    """The page from two measurements: before every kind of head had weights, and now."""
    page = Page(__doc__.split("\n", 1)[0] if __doc__ else "", "benchmarks.balanced --table BEFORE.jsonl AFTER.jsonl")
    known = {row["problem"]: row for row in before}
    both = [(known[row["problem"]], row) for row in after if row["problem"] in known]

    def compare(title: str, first: list[dict[str, float]], second: list[dict[str, float]]) -> None:
        pairs = list(zip(first, second, strict=True))
        points = [100 * (b["accuracy"] - a["accuracy"]) for a, b in pairs]
        nats = [b["nll"] - a["nll"] for a, b in pairs]
        plain = [100 * (b["plain_accuracy"] - a["plain_accuracy"]) for a, b in pairs]
        page.row(title, mean_and_error(points, 2), mean_and_error(nats, 4), mean_and_error(plain, 2))

    def against_before(title: str, name: str) -> None:
        pairs = [(b[name], a[name]) for b, a in both]
        compare(title, [b for b, _ in pairs], [a for _, a in pairs])

    page.say(
        f"{len(after)} draws of {len(PROBLEMS)} problems, {len(both)} of them before too. Paired differences with "
        "their standard errors over the draws: balanced accuracy and accuracy on the test images in points (more is "
        "better), balanced NLL in nats (less is better). Each kind alone was searched in fewer draws.",
        "",
    )
    page.head("", "balanced accuracy", "balanced NLL", "accuracy")
    balanced = column(after, "balanced")
    compare("`--balanced` less scikit-learn", column(after, "sklearn"), balanced)
    compare("`--balanced` less the default", column(after, "plain"), balanced)
    against_before("`--balanced` less `--balanced` before", "balanced")
    against_before("the default less the default before", "plain")
    alone = [row for row in after if "logistic, balanced" in row]
    compare("logistic heads alone less scikit-learn", column(alone, "sklearn"), column(alone, "logistic, balanced"))
    page.say("", f"`--balanced` less the default, each kind of head alone, now and before, {KIND_SEEDS} seeds:", "")
    page.head("", "balanced accuracy", "balanced NLL", "accuracy")
    for kind in KINDS:
        compare(kind, column(after, f"{kind}, plain"), column(after, f"{kind}, balanced"))
        compare(f"{kind}, before", column(before, f"{kind}, plain"), column(before, f"{kind}, balanced"))
    page.say("", "`--balanced` by the problem: its figures, and less scikit-learn's.", "")
    page.head("data, classes", "balanced accuracy", "balanced NLL", "less scikit-learn", "", "kinds that won")
    for name in dict.fromkeys(row["problem"].split(",")[0] for row in after):
        rows = [row for row in after if row["problem"].split(",")[0] == name]
        ours, theirs = column(rows, "balanced"), column(rows, "sklearn")
        page.row(
            name,
            f"{100 * np.mean([one['accuracy'] for one in ours]):.1f}%",
            f"{np.mean([one['nll'] for one in ours]):.3f}",
            mean_and_error([100 * (a["accuracy"] - b["accuracy"]) for a, b in zip(ours, theirs, strict=True)], 2),
            mean_and_error([a["nll"] - b["nll"] for a, b in zip(ours, theirs, strict=True)], 4),
            ", ".join(f"{kind} {sum(one['kind'] == kind for one in ours)}" for kind in KINDS),
        )
    cpu = [sum(one["cpu_s"] for one in column(after, name)) for name in ("balanced", "plain", "sklearn")]
    page.say("", f"CPU seconds: `--balanced` {cpu[0]:.0f}, the default {cpu[1]:.0f}, scikit-learn {cpu[2]:.0f}.")
    page.write("balanced")


def main() -> None:
    """Measure, or write the page from two measurements."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", type=Path, nargs="*", metavar="FEATURES.npz RESULT.jsonl")
    parser.add_argument("--table", type=Path, nargs=2, metavar=("BEFORE.jsonl", "AFTER.jsonl"))
    given = parser.parse_args()
    if given.table:
        write_table(*(read_rows(path) for path in given.table))
    elif len(given.files) == 2:
        measure(*given.files)
    else:
        parser.error("give FEATURES.npz RESULT.jsonl, or --table BEFORE.jsonl AFTER.jsonl")


if __name__ == "__main__":
    main()
