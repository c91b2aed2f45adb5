"""Small data sets and classifiers made by hand, for the tests of what a backbone may have seen."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from vitrail.backbones.classifier import Classifier
from vitrail.core.label_sets import imagenet_1k
from vitrail.data import Dataset, Split, SplitOptions, make_split
from vitrail.data.dataset import EXAMPLE_SCHEMA


class Table:
    """Features found by example id."""

    backbone = "made"

    def __init__(self, rows: dict[str, np.ndarray]) -> None:
        self._rows = rows

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        return np.stack([self._rows[example] for example in ids])

    def blocks(self, ids: Sequence[str]) -> Iterator[np.ndarray]:
        for start in range(0, len(ids), 4):
            yield self.rows(ids[start : start + 4])


def make_data(
    classes: Sequence[str], path: str, *, per_class: int = 10, options: SplitOptions | None = None
) -> tuple[Dataset, Split, dict[str, int]]:
    """A split data set whose files are named by `path`, which may hold {label} and {number}."""
    ids = [f"{number:064x}" for number in range(len(classes) * per_class)]
    labels = [number % len(classes) for number in range(len(ids))]
    paths = [[path.format(label=label, number=number)] for number, label in enumerate(labels)]
    columns = [ids, paths, labels, *[[None] * len(ids)] * 3]
    table = pa.table([pa.array(c, f.type) for c, f in zip(columns, EXAMPLE_SCHEMA, strict=True)], schema=EXAMPLE_SCHEMA)
    whole = Dataset(
        name="made", table=table, classes=tuple(classes), set_aside=(), warnings=(), fingerprint="f", source=None
    )
    dataset, split, _ = make_split(whole, options)
    return dataset, split, dict(zip(ids, labels, strict=True))


def make_classifier(places: Sequence[int]) -> Classifier:
    """A classifier of ImageNet's classes on features as wide as `places`: feature i speaks for output places[i]."""
    labels = imagenet_1k()
    weight_KD = np.zeros((len(labels.ids), len(places)), np.float32)
    weight_KD[list(places), range(len(places))] = 8.0
    return Classifier(labels=labels, weight_KD=weight_KD, bias_K=np.zeros(len(labels.ids), np.float32))


def make_features(label_of: dict[str, int], classes: int, *, wrong: float = 0.0, seed: int = 0) -> Table:
    """One-hot features of the label, or in a share of the images of any class."""
    draws = np.random.default_rng(seed)
    shown = {e: int(draws.integers(classes)) if draws.random() < wrong else c for e, c in label_of.items()}
    return Table({example: np.eye(classes, dtype=np.float32)[c] for example, c in shown.items()})
