"""The results of a search: its trials, its winner, and the winner under other seeds and on other splits.

The splits. Train and val are dealt again, stratified and with groups whole, `TuneOptions.splits` times; the winner's
setting is fitted on one side and scored on the other. The test is not touched: it stays one draw, and its interval
covers that draw.

The spread over splits covers which images were used for training and which for scoring. It does not cover the choice of
the setting, which is not repeated, or the draw of all these images together, since the splits share them: the spread is
smaller than that between independent data sets (Nadeau and Bengio 2003, Machine Learning 52:239-281). The sampling of
val alone explains part of it; that deviation is given too. All backbones get the same splits, so they can be compared
on each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrail.core.hashing import fingerprint, sha256_bytes
from vitrail.data.out_of_fold import OutOfFold
from vitrail.heads import CurvePoint, Head
from vitrail.search.curves import LabelCurve
from vitrail.search.fewshot import FewShot
from vitrail.search.subsets import SubsetScores
from vitrail.statistics.training_variance import HalvesScored

# Letters: N examples, M examples of a val, C classes.

Setting = dict[str, float | int | str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One setting, trained and scored on val, or over the folds if there is no val.

    `val_nll` is in nats, after one temperature fitted on the same rows; `val_nll_se` is its standard error. In a
    balanced search every class counts the same in both.
    `val_balanced_accuracy` is the mean of the classes' accuracies. `weight_norm` is the norm of the weight on scaled
    features (for a perceptron, of the product of its two weights), minus its mean over classes: within one kind, a
    smaller norm means stronger regularisation. `seconds` of a head trained with others is its share.
    """

    kind: str
    setting: Setting
    val_nll: float
    val_nll_se: float
    val_accuracy: float
    val_balanced_accuracy: float
    weight_norm: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Seeded:
    """The winner's setting trained again with another seed, and scored as a `Trial` is."""

    seed: int
    val_nll: float
    val_accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Resplit:
    """Another split: the ids of its val, their labels, and the predictions of the setting fitted on the rest."""

    number: int
    ids: tuple[str, ...] = field(repr=False)
    label_M: NDArray[np.int64] = field(repr=False)
    predicted_M: NDArray[np.int64] = field(repr=False)

    @property
    def accuracy(self) -> float:
        """On this val."""
        return float((self.label_M == self.predicted_M).mean())


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSpread:
    """Accuracy on the val of each other split; `deviation` (divided by splits - 1) is its spread around `mean`.

    `sampling` is the deviation that drawing a val of `n` from these `pool` images would give by itself if images are
    independent: sqrt(mean (1 - mean) / n (1 - n / pool)). The rest comes from the choice of training images.
    """

    n: int
    pool: int
    accuracies: tuple[float, ...]
    mean: float
    deviation: float
    sampling: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Every trial on the features of one backbone, and the winner, refitted on train and val.

    `pooling` says which features the head takes; trials on other poolings, which were compared first, come last in
    `trials`. `oof_probability_NC` has a row for each id of `oof_ids`, which are train and val: the probabilities of the
    winning setting for an example when fitted without its fold, scaled with the head's temperature (which was fitted on
    these very rows). `curve` is the winner's if it is a softmax head, else the best softmax head's. `seeds` has the
    winner under several seeds, the search's own first; it is empty for a kind that draws nothing. `resplits` has it on
    other splits of train and val. `subsets` has it fitted on parts of them, None if the options ask for no label
    curves, which come from it and say what more images are worth, for all classes and for the hardest. The head was
    fitted on `kept` examples. `without` are heads of the winning setting, each fitted without a fold of values of the
    column to leave out. `ended_early` says that a budget ended the search, so that on another machine it may end at
    another step. `streamed` says that the features did not fit in memory, and that `streamed.py` searched: then
    `oof_ids` are the scored images of val, answered by the winner as it was fitted on train, and there are no
    `subsets`. `notes` are sentences about what was not done and why. `user_s` is CPU time in user mode, including that
    of steps done before an interruption.
    """

    backbone: str
    pooling: str
    trials: tuple[Trial, ...]
    winner: Trial
    head: Head = field(repr=False)
    oof_ids: tuple[str, ...] = field(repr=False)
    oof_probability_NC: NDArray[np.float64] = field(repr=False)
    curve: tuple[CurvePoint, ...] = field(repr=False)
    seeds: tuple[Seeded, ...]
    resplits: tuple[Resplit, ...] = field(repr=False)
    few_shot: tuple[FewShot, ...]
    subsets: SubsetScores | None = field(repr=False)
    kept: int
    label_curves: tuple[LabelCurve, ...]
    without: tuple[Head, ...] = field(repr=False)
    ended_early: bool
    streamed: bool
    notes: tuple[str, ...]
    seconds: float
    user_s: float

    @property
    def halves(self) -> HalvesScored | None:
        """Heads fitted on halves of train and val, for the variance between trainings."""
        return None if self.subsets is None else self.subsets.halves(self.kept)

    @property
    def out_of_fold(self) -> OutOfFold | None:
        """The answers of heads fitted without each image's fold; None without `subsets`, which hold them."""
        return None if self.subsets is None else self.subsets.out_of_fold

    @property
    def digest(self) -> str:
        """Identifies the fitted heads, to the last bit; seconds are left out."""
        facts = _describe(self.backbone, self.head)
        without = [_describe(self.backbone, head) for head in self.without]
        return fingerprint(facts | {"without": without} if without else facts)


def _describe(backbone: str, head: Head) -> dict[str, Any]:
    return {
        "backbone": backbone,
        "kind": head.kind,
        "setting": head.setting,
        "classes": head.classes,
        "temperature": head.temperature,
        "scaling": head.scaling.kind,
        "tensors": {name: sha256_bytes(array.tobytes()) for name, array in head.tensors().items()},
    }


def spread_of(resplits: Sequence[Resplit], pool: int) -> SplitSpread | None:
    """The spread of the accuracy over splits of a pool of images; None without splits."""
    if not resplits:
        return None
    rates = [resplit.accuracy for resplit in resplits]
    n = round(float(np.mean([len(resplit.ids) for resplit in resplits])))
    mean = float(np.mean(rates))
    return SplitSpread(
        n=n,
        pool=pool,
        accuracies=tuple(rates),
        mean=mean,
        deviation=float(np.std(rates, ddof=1)),
        sampling=float(np.sqrt(mean * (1 - mean) / n * (1 - n / pool))),
    )
