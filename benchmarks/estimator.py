"""`FrozenClassifier` in a search over the strength: how often the backbone runs, how long it takes, how sure it is.

    python -m benchmarks.estimator [BREEDS]

Dogs of some breeds (10; needs the images and weights in ../shared), ViT-Ti: train is what the data set gives, test
likewise. Beside it scikit-learn's own pipeline on the same features, which are given to it for nothing. Both try the
same five strengths in five folds and choose by NLL. The two NLLs on the test images are compared image by image, with
a 95% bootstrap interval of their difference. Writes benchmarks/estimator_<hardware>_<yyyymm>.md.
"""

import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.results import machine_line, write_results
from vitrail import FrozenClassifier
from vitrail.features.stream import Network

SHARED = Path(__file__).resolve().parents[2] / "shared"
NAME = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
STRENGTHS = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
FOLDS = 5
DRAWS = 10_000


def read_dogs(breeds: int) -> dict[str, tuple[list[Path], NDArray[np.str_]]]:
    """Paths and labels of the first breeds, by split."""
    with (SHARED / "data" / "stanford_dogs_224.csv").open() as file:
        rows = list(csv.DictReader(file))
    wanted = sorted({row["label"] for row in rows})[:breeds]
    sides: dict[str, tuple[list[Path], NDArray[np.str_]]] = {}
    for side in ("train", "test"):
        there = [row for row in rows if row["split"] == side and row["label"] in wanted]
        sides[side] = [SHARED / "data" / row["path"] for row in there], np.array([row["label"] for row in there])
    return sides


def timed(work: Callable[[], object]) -> float:
    """Seconds of the clock."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


@contextmanager
def counted() -> Iterator[list[int]]:
    """The sizes of the batches that go through a network."""
    sizes: list[int] = []
    compute = Network.compute

    def count(network: Network, pixel_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        sizes.append(len(pixel_BHWC))
        return compute(network, pixel_BHWC)

    Network.compute = count
    try:
        yield sizes
    finally:
        Network.compute = compute


def losses(probability_NC: NDArray[np.float64], classes: NDArray[np.str_], labels: NDArray[np.str_]) -> NDArray:
    """The negative log likelihood of each image."""
    return -np.log(probability_NC[np.arange(len(labels)), np.searchsorted(classes, labels)])


def main() -> None:
    """Measure and write."""
    breeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    dogs = read_dogs(breeds)
    (train, train_labels), (test, test_labels) = dogs["train"], dogs["test"]
    backbone = f"{NAME}={SHARED / 'weights' / NAME}.safetensors"
    with TemporaryDirectory() as cache:
        one = FrozenClassifier(backbone, strength=0.01, scaling="standardise", cache=cache)
        search = GridSearchCV(one, {"strength": STRENGTHS}, cv=FOLDS, scoring="neg_log_loss")
        first_s = timed(lambda: one.fit(train, train_labels))
        again_s = timed(lambda: one.fit(train, train_labels))
        with counted() as sizes:
            search_s = timed(lambda: search.fit(train, train_labels))
        test_NC = search.predict_proba(test)
        feature_ND, test_ND = one.transform(train), one.transform(test)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000))
    theirs = GridSearchCV(pipeline, {"logisticregression__C": STRENGTHS}, cv=FOLDS, scoring="neg_log_loss")
    theirs_s = timed(lambda: theirs.fit(feature_ND, train_labels))
    own_N = losses(test_NC, search.classes_, test_labels)
    their_N = losses(theirs.predict_proba(test_ND), theirs.classes_, test_labels)
    draws = np.random.default_rng(0).integers(0, len(own_N), (DRAWS, len(own_N)))
    low, high = np.quantile((own_N - their_N)[draws].mean(axis=1), [0.025, 0.975])
    right = (search.classes_[test_NC.argmax(axis=1)] == test_labels).mean()
    lines = [
        f"# FrozenClassifier: {breeds} breeds of dogs, {len(train)} training images, {len(test)} test images, ViT-Ti",
        "",
        "    python -m benchmarks.estimator",
        "",
        "| | |",
        "| --- | --- |",
        f"| first fit, {len(train)} images through the backbone | {first_s:.1f} s |",
        f"| second fit, the same strength | {again_s:.1f} s |",
        f"| GridSearchCV, {len(STRENGTHS)} strengths x {FOLDS} folds | {search_s:.1f} s |",
        f"| scikit-learn's on the stored features | {theirs_s:.1f} s |",
        f"| strength that was chosen, ours and theirs | {search.best_params_['strength']}, "
        f"{theirs.best_params_['logisticregression__C']} |",
        f"| test accuracy, ours and theirs | {right:.4f}, {(theirs.predict(test_ND) == test_labels).mean():.4f} |",
        f"| test NLL, ours and theirs | {own_N.mean():.4f}, {their_N.mean():.4f} |",
        f"| difference of the NLL | {(own_N - their_N).mean():+.4f} [{low:+.4f}, {high:+.4f}] |",
        f"| images through the backbone during the search | {sum(sizes)} |",
        "",
        machine_line(),
    ]
    write_results("estimator", lines)


if __name__ == "__main__":
    main()
