"""The examples of a search: train and val of one backbone, the holdouts that compare settings, and the folds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrail.heads.head import StoredRows, balanced_weights

if TYPE_CHECKING:
    from vitrail.data import Dataset, Split
    from vitrail.heads import ScalingKind
    from vitrail.heads.axes import TurnedRows

# Letters: N examples, S scored examples, D features, C classes.

ROWS_AT_ONCE = 1024  # of those that stay on disk; scores are computed in float64


class Rows(Protocol):
    """The interface of `Features` for code that needs rows only."""

    @property
    def backbone(self) -> str:
        """Its name."""

    @property
    def key(self) -> str:
        """A digest of everything that the features depend on."""

    def rows(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """N x D, in the order of `ids`."""


class PooledRows(Rows, Protocol):
    """Rows of one pass with several poolings."""

    @property
    def pooling(self) -> str:
        """The pooling of `rows`."""

    @property
    def poolings(self) -> tuple[str, ...]:
        """All poolings of the pass."""

    def pooled(self, pooling: str) -> "PooledRows":
        """The same features with the rows of another pooling."""

    def reader(self, ids: Sequence[str]) -> StoredRows:
        """The rows of `ids`, in their order, which stay on disk until they are read."""


class Scorer(Protocol):
    """What gives rows scores."""

    def logits(self, feature_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of unscaled rows, float64."""


@dataclass(frozen=True, slots=True)
class Holdout:
    """Row numbers to fit on, and others to score on; `stop` are those on which a training stops early."""

    fit: NDArray[np.int64]
    score: NDArray[np.int64]
    stop: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Examples:
    """Train and val together, in the order of their ids.

    Settings are compared on `holdouts`: train and val, or the five folds if there is no val. `folds` are always the
    five. Over folds a training stops on the fold that follows the scored one, since a head that stops on the rows that
    also score it gets a score that is too high; with a val split the two are the same rows. `group_N` numbers the
    groups, so that draws can keep them whole. `pooling` says which features of a backbone these are, if it gives
    several. With `balanced` every class counts the same in every fit, temperature and loss: all of them take their
    weights from here. If features do not fit in memory they stay on disk, in another order and without folds; see
    `streamed.py`.
    """

    ids: tuple[str, ...]
    feature_ND: NDArray[np.float32] | StoredRows
    label_N: NDArray[np.int64]
    group_N: NDArray[np.int64]
    classes: int
    holdouts: tuple[Holdout, ...]
    folds: tuple[Holdout, ...]
    pooling: str = ""
    balanced: bool = False
    _turned: "dict[ScalingKind, TurnedRows]" = field(default_factory=dict, repr=False, compare=False)

    def turn_rows(self, scaling: "ScalingKind") -> "TurnedRows":
        """All rows in the axes of their covariance, made once for each scaling; see `heads/axes.py`."""
        from vitrail.heads.axes import TurnedRows

        assert isinstance(self.feature_ND, np.ndarray)  # a search on rows that stay on disk turns none
        if scaling not in self._turned:
            self._turned[scaling] = TurnedRows(self.feature_ND, scaling)
        return self._turned[scaling]

    def only(self, rows: NDArray[np.int64]) -> "Examples":
        """Some rows as a data set of their own: rotated features depend on these rows only. Without holdouts."""
        return Examples(
            ids=tuple(self.ids[row] for row in rows),
            feature_ND=self.feature_ND[rows],
            label_N=self.label_N[rows],
            group_N=self.group_N[rows],
            classes=self.classes,
            holdouts=(),
            folds=(),
            pooling=self.pooling,
            balanced=self.balanced,
        )

    def take_rows(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features and labels of some rows."""
        return self.feature_ND[rows], self.label_N[rows]

    def score(self, fit: "Scorer", rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """The scores that a fit gives some rows, S x C; rows on disk are read block by block."""
        if isinstance(self.feature_ND, np.ndarray):
            return fit.logits(self.feature_ND[rows])
        starts = range(0, len(rows), ROWS_AT_ONCE)
        return np.concatenate([fit.logits(self.feature_ND[rows[start : start + ROWS_AT_ONCE]]) for start in starts])

    def class_weights(self, label_M: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """The weight of each class in a fit on such labels (`balanced_weights`); None if all rows count the same."""
        return balanced_weights(label_M, self.classes) if self.balanced else None

    @property
    def scored_labels(self) -> NDArray[np.int64]:
        """The labels of the scored rows, holdout after holdout."""
        return np.concatenate([self.label_N[holdout.score] for holdout in self.holdouts])

    @property
    def scored_weights(self) -> NDArray[np.float64]:
        """The weight of each scored row in every loss of the search, of mean 1."""
        return self.even_weights if self.balanced else np.ones(len(self.scored_labels))

    @property
    def even_weights(self) -> NDArray[np.float64]:
        """A weight for each scored row, of mean 1, that makes every class count the same, balanced or not."""
        weight_S: NDArray[np.float64] = balanced_weights(self.scored_labels, self.classes)[self.scored_labels]
        return weight_S


def gather(features: PooledRows, split: "Split", dataset: "Dataset", *, balanced: bool = False) -> Examples:
    """Bring features, labels, groups and split together; the rows of test are not read."""
    ids = tuple(sorted((*split.train, *split.val)))
    row = {id_: number for number, id_ in enumerate(ids)}

    def rows(wanted: Sequence[str]) -> NDArray[np.int64]:
        return np.array(sorted(row[id_] for id_ in wanted), dtype=np.int64)

    all_rows = np.arange(len(ids))
    folds = make_folds(all_rows, [rows(fold) for fold in split.folds if fold])
    return Examples(
        ids=ids,
        feature_ND=np.ascontiguousarray(features.rows(ids), dtype=np.float32),
        label_N=dataset.values("label", ids).to_numpy().astype(np.int64),
        group_N=number_groups(dataset.values("group", ids)),
        classes=len(dataset.classes),
        holdouts=(Holdout(rows(split.train), rows(split.val), rows(split.val)),) if split.val else folds,
        folds=folds,
        pooling=features.pooling,
        balanced=balanced,
    )


def make_folds(all_rows: NDArray[np.int64], folds: Sequence[NDArray[np.int64]]) -> tuple[Holdout, ...]:
    """Each fold in turn is scored by a fit on the others; `folds` are the rows of each."""
    return tuple(
        Holdout(np.setdiff1d(all_rows, fold), fold, folds[(number + 1) % len(folds)])
        for number, fold in enumerate(folds)
    )


def number_groups(groups: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each group; an example without one is a group of its own."""
    if isinstance(groups, pa.ChunkedArray):
        groups = groups.combine_chunks()
    number_N: NDArray[np.int64] = pc.fill_null(groups.dictionary_encode().indices, -1).to_numpy().astype(np.int64)
    alone = number_N < 0
    number_N[alone] = number_N.max(initial=-1) + 1 + np.arange(alone.sum())
    return number_N
