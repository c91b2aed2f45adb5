"""The winning setting fitted on parts of train and val, and scored on the fold that is left out.

For each of the five folds of train and val the other four are halved. One half, a quarter and an eighth, each within
the one before, give the points of a label curve (`curves.py`). The second half shares no image with the first, so that
both tell how far a figure moves when the training images are drawn anew (`statistics/training_variance.py`). Each image
is scored once for each part, and the folds are the same for all backbones. Whole groups are taken first.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vitrail.data.out_of_fold import OutOfFold
from vitrail.heads import Fit
from vitrail.search.examples import Examples
from vitrail.statistics.training_variance import HalvesScored

# Letters: N examples, C classes.

PARTS = {"eighth": 1 / 8, "quarter": 1 / 4, "half": 1 / 2}
OTHER_HALF = "other_half"
ALL = "all"
HARDEST_PREFIX = "hardest_"
HARDEST = 1 / 4  # of the classes
FEWEST_CLASSES = 8  # with fewer the hardest are not looked at by themselves

Train = Callable[[NDArray[np.int64]], Fit]


@dataclass(frozen=True, kw_only=True, slots=True)
class SubsetScores:
    """What was predicted for each example by heads that were fitted on parts of the other folds.

    `predicted` has a class index for each example under "all" images of the other folds, an "eighth", a "quarter", a
    "half" and the "other_half", and under "hardest_eighth" to "hardest_other_half", where only the classes in `hardest`
    lose images; these are missing if there are too few classes, and eighth and quarter if there are too few images.
    `hardest` are class indices.
    """

    ids: tuple[str, ...] = field(repr=False)
    label_N: NDArray[np.int64] = field(repr=False)
    group_N: NDArray[np.int64] = field(repr=False)
    fold_N: NDArray[np.int64] = field(repr=False)
    hardest: tuple[int, ...]
    predicted: Mapping[str, NDArray[np.int64]] = field(repr=False)

    def right(self, name: str) -> NDArray[np.bool_]:
        """Whether each example is right under a part."""
        return np.asarray(self.predicted[name] == self.label_N)

    @property
    def folds(self) -> int:
        """The number of folds."""
        return len(np.unique(self.fold_N))

    @property
    def out_of_fold(self) -> OutOfFold:
        """The answers of heads that were fitted on all of the other folds."""
        return OutOfFold(label_N=self.label_N, group_N=self.group_N, right_N=self.right(ALL))

    def halves(self, kept: int) -> HalvesScored:
        """Both halves of all classes, for comparison with a head that was fitted on `kept` examples."""
        half = len(self.ids) * (1 - 1 / self.folds) / 2
        return HalvesScored(
            first_N=self.right("half"),
            second_N=self.right(OTHER_HALF),
            label_N=self.label_N,
            fold_N=self.fold_N,
            group_N=self.group_N,
            share=half / kept,
        )


def score_on_subsets(
    examples: Examples, train: Train, oof_probability_NC: NDArray[np.float64], *, seed: int
) -> SubsetScores:
    """Fit and score every part of each fold.

    `train` fits the winning setting on some rows; `oof_probability_NC` are its probabilities when fitted on all of the
    other folds.
    """
    from vitrail.heads.threads import side_by_side

    hardest = find_hardest_classes(examples, oof_probability_NC)
    scopes = [_Scope("", np.ones(examples.classes, dtype=bool), tuple(PARTS))]
    if hardest:
        scopes.append(_Scope(HARDEST_PREFIX, np.isin(np.arange(examples.classes), hardest), tuple(PARTS)))
    scopes = [scope.with_enough(examples) for scope in scopes]
    fold_N = np.zeros(len(examples.ids), dtype=np.int64)
    tasks = []
    for number, fold in enumerate(examples.folds):
        fold_N[fold.score] = number
        # The hardest classes lose the same images as when all classes do.
        rank_G = np.random.default_rng([seed, number]).permutation(int(examples.group_N.max()) + 1)
        for scope in scopes:
            tasks += [(name, fold.score, rows) for name, rows in scope.draw(examples, fold.fit, rank_G)]

    def fit(task: tuple[str, NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.int64]:
        logit_MC = train(task[2]).logits(examples.feature_ND[task[1]])
        return np.asarray(logit_MC.argmax(axis=1), dtype=np.int64)

    predicted = {ALL: np.asarray(oof_probability_NC.argmax(axis=1), dtype=np.int64)}
    for (name, score, _), answer_M in zip(tasks, side_by_side(fit, tasks), strict=True):
        predicted.setdefault(name, np.zeros(len(examples.ids), dtype=np.int64))[score] = answer_M
    return SubsetScores(
        ids=examples.ids,
        label_N=examples.label_N,
        group_N=examples.group_N,
        fold_N=fold_N,
        hardest=tuple(hardest),
        predicted=predicted,
    )


def find_hardest_classes(examples: Examples, oof_probability_NC: NDArray[np.float64]) -> list[int]:
    """The quarter of the classes with the least out-of-fold accuracy of the winner; empty with few classes."""
    if examples.classes < FEWEST_CLASSES:
        return []
    right_N = oof_probability_NC.argmax(axis=1) == examples.label_N
    count_C = np.bincount(examples.label_N, minlength=examples.classes)
    rate_C = np.bincount(examples.label_N, right_N, minlength=examples.classes) / np.maximum(count_C, 1)
    order = [int(c) for c in np.argsort(rate_C, kind="stable") if count_C[c]]
    return sorted(order[: round(examples.classes * HARDEST)])


def count_left(count_C: NDArray[np.int64], grown_C: NDArray[np.bool_], part: float) -> NDArray[np.int64]:
    """How many images of each class a part has: its share of the growing classes, at least one; all of the others."""
    part_C = np.maximum(np.minimum(1, count_C), np.round(part * count_C)).astype(np.int64)
    return np.where(grown_C, part_C, count_C)


@dataclass(frozen=True, slots=True)
class _Scope:
    """Classes that lose images, and the parts that are fitted of them."""

    prefix: str
    grown_C: NDArray[np.bool_]
    parts: tuple[str, ...]

    def with_enough(self, examples: Examples) -> "_Scope":
        """Halves alone if in some fold an eighth is less than one image of each of these classes, on average."""
        fewest = min(int(self.grown_C[examples.label_N[fold.fit]].sum()) for fold in examples.folds)
        enough = fewest * min(PARTS.values()) >= self.grown_C.sum()
        return self if enough else replace(self, parts=("half",))

    def draw(
        self, examples: Examples, rows: NDArray[np.int64], rank_G: NDArray[np.int64]
    ) -> Iterator[tuple[str, NDArray[np.int64]]]:
        """The rows of every part, by its name."""
        for part in self.parts:
            yield self.prefix + part, draw_part(examples, rows, self.grown_C, PARTS[part], rank_G)
        yield self.prefix + OTHER_HALF, draw_part(examples, rows, self.grown_C, PARTS["half"], rank_G, other=True)


def draw_part(
    examples: Examples,
    rows: NDArray[np.int64],
    grown_C: NDArray[np.bool_],
    part: float,
    rank_G: NDArray[np.int64],
    *,
    other: bool = False,
) -> NDArray[np.int64]:
    """The rows of each growing class whose groups rank first, or with `other` last, and all of the others; sorted.

    A class of one image has it in both.
    """
    ranked = rows[np.argsort(rank_G[examples.group_N[rows]], kind="stable")]
    ranked = ranked[np.argsort(examples.label_N[ranked], kind="stable")]
    label_N = examples.label_N[ranked]
    place_N = np.arange(len(ranked)) - np.searchsorted(label_N, label_N)
    count_C = np.bincount(label_N, minlength=len(grown_C))
    left_C = count_left(count_C, grown_C, part)
    if other:
        first_C = np.where(grown_C & (count_C > 1), left_C, 0)
        return np.sort(ranked[place_N >= first_C[label_N]])
    return np.sort(ranked[place_N < left_C[label_N]])
