"""Heads on small data: the search over five folds beside scikit-learn's LogisticRegressionCV, on the same rows.

    python -m benchmarks.small_heads

The 800 flowers of ../shared, 20 classes: 640 images to learn from, 160 to test. scikit-learn gets 13 strengths (1e-4 to
100), the same five folds and standardised features, and all cores. Our search is timed with its out-of-fold
probabilities and refit ("search and refit"), and with other splits, label curves, few shots and seeds ("everything").
Both heads are temperature-scaled on their own out-of-fold probabilities. Medians of three rounds, one after the other.
Writes benchmarks/small_heads_<hardware>_<yyyymm>.md.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.problems import SHARED, WEIGHTS
from benchmarks.results import machine_line, write_results
from vitrail.backbones import BackboneSpec, open_backbone
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import find_near_duplicates, keep_together, load, make_split, open_source
from vitrail.features import extract
from vitrail.heads import probabilities
from vitrail.heads.head import log_softmax
from vitrail.heads.temperature import fit_temperature
from vitrail.search import TuneOptions, tune

STRENGTHS = np.logspace(-4, 2, 13)
ROUNDS = 3
SEARCH_ALONE = TuneOptions(label_curves=False, splits=0, seeds=1)


def measure(work: Callable[[], object]) -> tuple[float, object]:
    """The median time of some rounds in seconds, and the last result."""
    seconds, result = [], None
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds), result


def fit_sklearn(row_ND: np.ndarray, label_N: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]):
    """scikit-learn's search: standardise, and one strength for all classes by the log loss over the folds."""
    search = LogisticRegressionCV(
        Cs=STRENGTHS,
        cv=folds,
        scoring="neg_log_loss",
        max_iter=1000,
        n_jobs=-1,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )
    return make_pipeline(StandardScaler(), search).fit(row_ND, label_N)


def score(logit_NC: np.ndarray, temperature: float, label_N: np.ndarray) -> tuple[float, float]:
    """Accuracy, and mean negative log likelihood in nats."""
    log_NC = log_softmax(logit_NC / temperature)
    return float((logit_NC.argmax(axis=1) == label_N).mean()), float(-log_NC[np.arange(len(label_N)), label_N].mean())


def main() -> None:
    """Run it and write the table beside this file."""
    whole = load(open_source(SHARED / "data" / "flowers_original"))
    whole = keep_together(whole, find_near_duplicates(whole, max_pixels=10**8, resources=Resources()))
    label = dict(zip(whole.table["id"].to_pylist(), whole.table["label"].to_pylist(), strict=True))
    dataset, split, _ = make_split(whole)
    specs = [BackboneSpec(name=name, file=SHARED / "weights" / f"{file}.safetensors") for name, file in WEIGHTS.items()]
    opened = [open_backbone(spec, progress=Silent()) for spec in specs]
    extraction = extract(dataset, opened, max_pixels=10**8, resources=Resources())
    ids = sorted((*split.train, *split.val))
    place = {example: row for row, example in enumerate(ids)}
    fold_rows = [np.array(sorted(place[example] for example in fold)) for fold in split.folds]
    folds = [(np.setdiff1d(np.arange(len(ids)), rows), rows) for rows in fold_rows]
    label_N, test_N = (np.array([label[example] for example in some]) for some in (ids, split.test))
    lines = [
        __doc__.split("\n", 1)[0] if __doc__ else "",
        "",
        "    python -m benchmarks.small_heads",
        "",
        machine_line(),
        "",
    ]
    lines += [
        "Seconds; accuracy and NLL (nats) on the 160 test images.",
        "",
        "| backbone, features | search and refit | everything | scikit-learn | ratios | ours | scikit-learn |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for features in extraction.features:
        row_ND, test_ND = features.rows(ids), features.rows(split.test)
        alone, _ = measure(lambda features=features: tune(features, split, dataset, SEARCH_ALONE))
        everything, search = measure(lambda features=features: tune(features, split, dataset))
        theirs, fitted = measure(lambda row_ND=row_ND: fit_sklearn(row_ND, label_N, folds))
        strength = float(np.ravel(fitted[-1].C_)[0])
        logit_NC = np.zeros((len(ids), len(dataset.classes)))
        for fit, rows in folds:
            again = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
            logit_NC[rows] = again.fit(row_ND[fit], label_N[fit]).decision_function(row_ND[rows])
        temperature = fit_temperature(logit_NC, label_N)
        ours = np.log(probabilities(search.head, features.pooled(search.pooling).rows(split.test)))
        figures = [score(ours, 1.0, test_N), score(fitted.decision_function(test_ND), temperature, test_N)]
        lines.append(
            f"| {features.backbone}, {row_ND.shape[1]} | {alone:.1f} | {everything:.1f} | {theirs:.1f} "
            f"| {alone / theirs:.2f} and {everything / theirs:.2f} | "
            + " | ".join(f"{100 * accuracy:.1f}%, {nll:.3f}" for accuracy, nll in figures)
            + " |"
        )
        print(lines[-1])
    write_results("small_heads", lines)


if __name__ == "__main__":
    main()
