"""What a search works on: train and val of one backbone, the parts to choose on, and the folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vitrail.data import Dataset, Split

# Letters: N examples, S scored examples, D features, C classes.


class Rows(Protocol):
    """What a search needs of `Features`."""

    @property
    def backbone(self) -> str:
        """Whose features they are."""

    @property
    def key(self) -> str:
        """What the features were made with, as a digest."""

    def rows(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """N x D, in the order asked for."""


class PooledRows(Rows, Protocol):
    """Rows of which one pass gave several poolings."""

    @property
    def pooling(self) -> str:
        """The one that `rows` gives."""

    @property
    def poolings(self) -> tuple[str, ...]:
        """All there are."""

    def pooled(self, pooling: str) -> "PooledRows":
        """The same with the rows of another pooling."""


@dataclass(frozen=True, slots=True)
class Holdout:
    """Row numbers to fit on, and others to score on."""

    fit: NDArray[np.int64]
    score: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Examples:
    """Train and val together, in the order of their ids.

    Settings are compared on `holdouts`: train and val, or the five folds if there is no val. `folds` are always the
    five. `group_N` numbers the groups, so that draws can keep them whole. `pooling` says which features of a backbone
    these are, if it gives several.
    """

    ids: tuple[str, ...]
    feature_ND: NDArray[np.float32]
    label_N: NDArray[np.int64]
    group_N: NDArray[np.int64]
    classes: int
    holdouts: tuple[Holdout, ...]
    folds: tuple[Holdout, ...]
    pooling: str = ""

    def take_rows(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features and labels of some rows."""
        return self.feature_ND[rows], self.label_N[rows]

    def class_weights(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """What an example of each class counts where every class counts the same, for training on these rows.

        Of mean 1 over the rows, so that a strength or a learning rate keeps its meaning; a class without rows has 0.
        """
        count_C = np.bincount(self.label_N[rows], minlength=self.classes)
        weight_C: NDArray[np.float64] = len(rows) / (np.count_nonzero(count_C) * np.maximum(count_C, 1))
        return np.where(count_C > 0, weight_C, 0.0)

    @property
    def scored_labels(self) -> NDArray[np.int64]:
        """The labels of the scored rows, holdout after holdout."""
        return np.concatenate([self.label_N[holdout.score] for holdout in self.holdouts])


def gather(features: PooledRows, split: "Split", dataset: "Dataset") -> Examples:
    """Bring features, labels, groups and parts together.

    Args:
        features: the backbone's rows for at least the train and val ids.
        split: train, val and the five folds of both.
        dataset: where labels, groups and class names come from; the labels of test are not there.

    Returns:
        The examples.
    """
    ids = tuple(sorted((*split.train, *split.val)))
    row = {id_: number for number, id_ in enumerate(ids)}
    columns = (dataset.table[name].to_pylist() for name in ("id", "label", "group"))
    facts = {id_: (label, group) for id_, label, group in zip(*columns, strict=True)}

    def rows(wanted: Sequence[str]) -> NDArray[np.int64]:
        return np.array(sorted(row[id_] for id_ in wanted), dtype=np.int64)

    everything = np.arange(len(ids))
    folds = tuple(Holdout(np.setdiff1d(everything, rows(fold)), rows(fold)) for fold in split.folds if fold)
    return Examples(
        ids=ids,
        feature_ND=np.ascontiguousarray(features.rows(ids), dtype=np.float32),
        label_N=np.array([facts[id_][0] for id_ in ids], dtype=np.int64),
        group_N=_numbered([facts[id_][1] for id_ in ids]),
        classes=len(dataset.classes),
        holdouts=(Holdout(rows(split.train), rows(split.val)),) if split.val else folds,
        folds=folds,
        pooling=features.pooling,
    )


def _numbered(groups: Sequence[str | None]) -> NDArray[np.int64]:
    """A number for each group; an example without one is a group of its own."""
    known: dict[str | int, int] = {}
    keys = [place if group is None else group for place, group in enumerate(groups)]
    return np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.int64)
