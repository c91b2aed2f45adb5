"""Ten small problems: accuracy and NLL of the head that the search chooses, beside scikit-learn's or an earlier commit.

    python -m benchmarks.problems FEATURES.npz
    python -m benchmarks.small_problems FEATURES.npz RESULT.json     (at any commit that has vitrail.search.tune)
    python -m benchmarks.small_problems --compare BEFORE.json AFTER.json

Subsets of dogs, flowers and digits of 64 to 1,344 training images, four backbones each; all other images of the classes
are the test. scikit-learn is LogisticRegressionCV: 13 strengths, five stratified folds, standardised, its probabilities
temperature-scaled on out-of-fold scores of the chosen strength.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.problems import Problem, draw_problems
from vitrail.heads import probabilities
from vitrail.heads.head import log_softmax
from vitrail.heads.temperature import fit_temperature
from vitrail.search import TuneOptions, tune

OPTIONS = TuneOptions(label_curves=False, splits=0, seeds=1)
STRENGTHS = np.logspace(-4, 2, 13)
SEEDS = 5


def score(log_NC: np.ndarray, label_N: np.ndarray) -> dict[str, float]:
    """Accuracy, and mean negative log likelihood in nats."""
    nll_N = -np.maximum(log_NC[np.arange(len(label_N)), label_N], np.log(1e-12))
    return {"accuracy": float((log_NC.argmax(axis=1) == label_N).mean()), "nll": float(nll_N.mean())}


def run_ours(problem: Problem) -> dict[str, float | str]:
    """The search, and its head on the test images."""
    begun = time.process_time()
    search = tune(problem.rows, problem.split, problem.dataset, OPTIONS)
    seconds = time.process_time() - begun
    log_NC = np.log(probabilities(search.head, problem.test_ND))
    return {**score(log_NC, problem.test_N), "kind": search.winner.kind, "cpu_s": seconds}


def run_sklearn(problem: Problem) -> dict[str, float]:
    """LogisticRegressionCV on the same rows."""
    row_ND, label_N = problem.learnt_ND, problem.learnt_N
    folds, begun = StratifiedKFold(5, shuffle=True, random_state=0), time.process_time()
    search = LogisticRegressionCV(
        Cs=STRENGTHS, cv=folds, scoring="neg_log_loss", max_iter=1000, l1_ratios=(0.0,), use_legacy_attributes=False
    )
    fitted = make_pipeline(StandardScaler(), search).fit(row_ND, label_N)
    seconds = time.process_time() - begun
    again = make_pipeline(StandardScaler(), LogisticRegression(C=float(np.ravel(search.C_)[0]), max_iter=1000))
    logit_NC = cross_val_predict(again, row_ND, label_N, cv=folds, method="decision_function")
    temperature = fit_temperature(logit_NC, label_N)
    log_NC = log_softmax(fitted.decision_function(problem.test_ND) / temperature)
    return score(log_NC, problem.test_N) | {"cpu_s": seconds}


def measure(features: Path) -> list[dict[str, object]]:
    """Every problem with every backbone and seed."""
    results = []
    for problem in draw_problems(features, seeds=SEEDS):
        ours, theirs = run_ours(problem), run_sklearn(problem)
        results.append({"problem": problem.name, "train": len(problem.learnt_N), "ours": ours, "sklearn": theirs})
        print(json.dumps(results[-1]), flush=True)
    return results


def compare(title: str, before: list[dict[str, float]], after: list[dict[str, float]]) -> str:
    """One line: paired differences of accuracy and NLL with their standard errors, and the worst."""
    gain = np.array([100 * (b["accuracy"] - a["accuracy"]) for a, b in zip(before, after, strict=True)])
    nll = np.array([b["nll"] - a["nll"] for a, b in zip(before, after, strict=True)])
    cpu = [sum(one["cpu_s"] for one in some) for some in (before, after)]
    error, nll_error = (values.std(ddof=1) / len(values) ** 0.5 for values in (gain, nll))
    return (
        f"{title}, {len(gain)} searches: accuracy {gain.mean():+.2f} points (standard error {error:.2f}, worst "
        f"{gain.min():+.1f}), NLL {nll.mean():+.4f} nats ({nll_error:.4f}, worst {nll.max():+.4f}), "
        f"CPU {cpu[0]:.0f} and {cpu[1]:.0f} s"
    )


def main() -> None:
    """Measure, or compare two measurements."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", type=Path, nargs="*", metavar="FEATURES.npz RESULT.json")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"))
    given = parser.parse_args()
    if given.compare:
        before, after = (json.loads(path.read_text()) for path in given.compare)
        known = {one["problem"]: one["ours"] for one in before}
        shared = [one for one in after if one["problem"] in known]
        ours = [one["ours"] for one in shared]
        print(compare("against before", [known[one["problem"]] for one in shared], ours))
        print(compare("against scikit-learn", [one["sklearn"] for one in shared], ours))
    elif len(given.files) == 2:
        given.files[1].write_text(json.dumps(measure(given.files[0]), indent=1))
    else:
        parser.error("give FEATURES.npz RESULT.json, or --compare BEFORE.json AFTER.json")


if __name__ == "__main__":
    main()
