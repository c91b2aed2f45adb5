"""Ten small problems: accuracy and NLL of the head that the search chooses, beside scikit-learn's or an earlier commit.

    python -m benchmarks.small_problems RESULT.json [--seeds 2]      (runs at any commit that has vitrail.search.tune)
    python -m benchmarks.small_problems --compare BEFORE.json AFTER.json

Subsets of dogs, flowers and digits of 64 to 1,344 training images, two backbones each; all other images of the classes
are the test. scikit-learn is LogisticRegressionCV: 13 strengths, five stratified folds, standardised, its probabilities
temperature-scaled on out-of-fold scores of the chosen strength. Needs the images and weights in ../shared.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vitrail.backbones import open_backbone, parse_spec
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import EXAMPLE_SCHEMA, Dataset, load, make_split, open_source
from vitrail.features import extract
from vitrail.heads import probabilities
from vitrail.heads.head import log_softmax
from vitrail.heads.temperature import fit_temperature
from vitrail.search import TuneOptions, tune

SHARED = Path(__file__).resolve().parents[2] / "shared"
VIT, DEIT = "vit_tiny_patch16_224.augreg_in21k_ft_in1k", "deit_tiny_patch16_224.fb_in1k"
SOURCES = {
    "dogs": ("stanford_dogs_224.csv", {VIT: VIT, "resnet50.tv_in1k": "resnet50.pqf_in1k"}),
    "flowers": ("flowers_original", {DEIT: DEIT, "resnet18.tv_in1k": "resnet18.pqf_in1k"}),
    "digits": (None, {"vit_mini": None, "resnet_mini": None}),
}
PROBLEMS = (  # data, classes, images per class
    ("dogs", 10, 12), ("dogs", 20, 15), ("dogs", 5, 30), ("dogs", 40, 20), ("dogs", 120, 14),
    ("flowers", 5, 16), ("flowers", 20, 10), ("flowers", 10, 30), ("digits", 10, 20), ("digits", 10, 100),
)  # fmt: skip
OPTIONS = TuneOptions(label_curves=False, splits=0, seeds=1)
STRENGTHS = np.logspace(-4, 2, 13)


@dataclass(frozen=True)
class Rows:
    """Features by id, as `tune` takes them."""

    feature: dict[str, np.ndarray]
    backbone: str = "backbone"
    key: str = "key"
    pooling: str = "own"
    poolings: tuple[str, ...] = ("own",)

    def rows(self, ids: object) -> np.ndarray:
        """N x D."""
        return np.stack([self.feature[id_] for id_ in ids])

    def pooled(self, pooling: str) -> "Rows":
        """There is one pooling."""
        return self


def read_features(name: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The labels of a data set, and the rows of each backbone."""
    place, weights = SOURCES[name]
    dataset = load(open_source(None if place is None else SHARED / "data" / place))
    texts = [one if file is None else f"{one}={SHARED / 'weights' / file}.safetensors" for one, file in weights.items()]
    opened = [open_backbone(parse_spec(text), progress=Silent()) for text in texts]
    extraction = extract(dataset, opened, max_pixels=10**8, resources=Resources())
    ids = dataset.table["id"].to_pylist()
    return np.array(dataset.table["label"].to_pylist()), {f.backbone: f.rows(ids) for f in extraction.features}


def score(log_NC: np.ndarray, label_N: np.ndarray) -> dict[str, float]:
    """Accuracy, and mean negative log likelihood in nats."""
    nll_N = -np.maximum(log_NC[np.arange(len(label_N)), label_N], np.log(1e-12))
    return {"accuracy": float((log_NC.argmax(axis=1) == label_N).mean()), "nll": float(nll_N.mean())}


def run_ours(row_ND: np.ndarray, label_N: np.ndarray, test_ND: np.ndarray, test_N: np.ndarray) -> dict[str, object]:
    """The search on some rows; its own test split joins the test images."""
    ids = [f"{number:064x}" for number in range(len(label_N))]
    columns = {"id": ids, "paths": [[id_] for id_ in ids], "label": label_N}
    columns |= dict.fromkeys(("group", "given_split", "jpeg_side"), [None] * len(ids))
    names = tuple(map(str, range(int(label_N.max()) + 1)))
    dataset, split, _ = make_split(
        Dataset(
            name="problem",
            table=pa.table(columns, schema=EXAMPLE_SCHEMA),
            classes=names,
            set_aside=(),
            warnings=(),
            fingerprint="",
            source=open_source(None),
        )
    )
    rows, begun = Rows(dict(zip(ids, row_ND, strict=True))), time.process_time()
    search = tune(rows, split, dataset, OPTIONS)
    seconds = time.process_time() - begun
    held = [int(id_, 16) for id_ in split.test]
    log_NC = np.log(probabilities(search.head, np.concatenate([test_ND, row_ND[held]])))
    learnt = sorted(set(range(len(ids))) - set(held))
    truth_N = np.concatenate([test_N, label_N[held]])
    return score(log_NC, truth_N) | {"kind": search.winner.kind, "cpu_s": seconds, "learnt": learnt, "held": held}


def run_sklearn(row_ND: np.ndarray, label_N: np.ndarray, test_ND: np.ndarray, test_N: np.ndarray) -> dict[str, float]:
    """LogisticRegressionCV on the same rows."""
    folds, begun = StratifiedKFold(5, shuffle=True, random_state=0), time.process_time()
    search = LogisticRegressionCV(
        Cs=STRENGTHS, cv=folds, scoring="neg_log_loss", max_iter=1000, l1_ratios=(0.0,), use_legacy_attributes=False
    )
    fitted = make_pipeline(StandardScaler(), search).fit(row_ND, label_N)
    seconds = time.process_time() - begun
    again = make_pipeline(StandardScaler(), LogisticRegression(C=float(np.ravel(search.C_)[0]), max_iter=1000))
    logit_NC = cross_val_predict(again, row_ND, label_N, cv=folds, method="decision_function")
    temperature = fit_temperature(logit_NC, label_N)
    return score(log_softmax(fitted.decision_function(test_ND) / temperature), test_N) | {"cpu_s": seconds}


def measure(seeds: int) -> list[dict[str, object]]:
    """Every problem with every backbone and seed."""
    results = []
    features = {name: read_features(name) for name in SOURCES}
    for seed in range(seeds):
        for name, classes, per_class in PROBLEMS:
            draws = np.random.default_rng([seed, classes, per_class])
            all_N, backbones = features[name]
            chosen = draws.choice(np.unique(all_N), classes, replace=False)
            rows = np.concatenate([draws.permutation(np.flatnonzero(all_N == c))[:per_class] for c in chosen])
            rest = np.setdiff1d(np.flatnonzero(np.isin(all_N, chosen)), rows)
            place = {c: number for number, c in enumerate(chosen)}
            label_N, rest_N = (np.array([place[c] for c in all_N[some]]) for some in (rows, rest))
            for backbone, all_ND in backbones.items():
                ours = run_ours(all_ND[rows], label_N, all_ND[rest], rest_N)
                learnt, held = ours.pop("learnt"), ours.pop("held")
                test_ND = np.concatenate([all_ND[rest], all_ND[rows][held]])
                test_N = np.concatenate([rest_N, label_N[held]])
                theirs = run_sklearn(all_ND[rows][learnt], label_N[learnt], test_ND, test_N)
                problem = f"{name} {classes} x {per_class}, {backbone.split('.')[0]}, seed {seed}"
                results.append({"problem": problem, "train": len(learnt), "ours": ours, "sklearn": theirs})
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
    parser.add_argument("result", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"))
    given = parser.parse_args()
    if given.compare:
        before, after = (json.loads(path.read_text()) for path in given.compare)
        known = {one["problem"]: one["ours"] for one in before}
        shared = [one for one in after if one["problem"] in known]
        ours = [one["ours"] for one in shared]
        print(compare("against before", [known[one["problem"]] for one in shared], ours))
        print(compare("against scikit-learn", [one["sklearn"] for one in shared], ours))
    elif given.result:
        given.result.write_text(json.dumps(measure(given.seeds), indent=1))
    else:
        parser.error("give RESULT.json, or --compare BEFORE.json AFTER.json")


if __name__ == "__main__":
    main()
