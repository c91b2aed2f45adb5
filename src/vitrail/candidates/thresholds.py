"""The thresholds of a head: when its sets of classes are large enough, and when it should not answer.

They are set on images that the head did not see; `evaluation/thresholds.py` checks on the test images whether they keep
their promise. There are two ways to set them.

Without a calibration split they are set on out-of-fold probabilities. These come from heads that did not see the
example, but the shipped head was refitted on all of train and val. Sets therefore keep their promise as far as
refitting changes little (cross-conformal prediction, Vovk 2015, Ann. Math. Artif. Intell. 74:9-28): there is no
guarantee for finite samples.

With a calibration split (split conformal) they are set on the shipped head's answers on images that neither trained nor
chose it: the set of a new image that is exchangeable with them contains its class with a probability of at least 1 -
alpha. The temperature is not fitted there, since a score that depends on the calibration images but not in the same way
on a new image would break that guarantee.

If images come in groups, groups are exchangeable and single images are not: every promise is about an image drawn from
a new group (docs/thresholds.md).

Letters: N examples, C classes, R rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.data import Dataset, Split
from vitrail.features import Features
from vitrail.heads import Head, probabilities
from vitrail.heads.bank import Bank, fill_bank
from vitrail.heads.head import Predictions
from vitrail.heads.refusal import RULES, Refusal, SetOn
from vitrail.search import Search
from vitrail.search.examples import number_groups
from vitrail.statistics.abstention import confident_enough
from vitrail.statistics.conformal import SCORES, class_thresholds, threshold, true_scores


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusalOptions:
    """The promises: sets miss at most `alpha`; answers reach `precision`, with a risk of `risk` that they do not."""

    alpha: float = 0.1
    precision: float = 0.95
    risk: float = 0.1


def predict_calibration(search: Search, features: Features, split: Split, dataset: Dataset) -> Predictions | None:
    """The predictions of a search's head for the calibration split; None without such a split."""
    if not split.calibration:
        return None
    return Predictions(
        name=search.backbone,
        ids=tuple(split.calibration),
        label_N=_labels(dataset, split.calibration),
        probability_NC=predict(search.head, features, split.calibration),
    )


def predict(head: Head, features: Features, ids: Sequence[str]) -> NDArray[np.float64]:
    """The probabilities of a head for these examples, N x C; their features are read block by block."""
    return np.concatenate([probabilities(head, block_BD) for block_BD in features.blocks(ids)])


def make_refusal(
    search: Search, features: Features, split: Split, dataset: Dataset, calibrated: Predictions | None = None
) -> Refusal:
    """The thresholds of the head that a search found, and the bank of features.

    `calibrated` are its predictions for the calibration split; if None, out-of-fold probabilities are used instead.
    """
    trained_ids = (*split.train, *split.val)
    ids = search.oof_ids if calibrated is None else calibrated.ids
    return fit_refusal(
        fill_bank(trained_ids, features.reader(trained_ids), _groups(dataset, trained_ids)),
        search.oof_probability_NC if calibrated is None else calibrated.probability_NC,
        _labels(dataset, ids),
        set_on="out-of-fold" if calibrated is None else "calibration",
        group_N=_groups(dataset, ids),
    )


def fit_refusal(
    bank: Bank,
    probability_NC: NDArray[np.float64],
    label_N: NDArray[np.int64],
    options: RefusalOptions | None = None,
    *,
    set_on: SetOn = "out-of-fold",
    group_N: NDArray[np.int64] | None = None,
) -> Refusal:
    """Set every threshold.

    Args:
        bank: of train and val.
        probability_NC: of the images that sets and confidence are set on.
        label_N: their labels.
        options: what is promised.
        set_on: which images these are.
        group_N: their groups; None if each is independent.
    """
    options = options or RefusalOptions()
    return Refusal(
        set_on=set_on,
        images=len(label_N),
        groups=len(label_N) if group_N is None else len(np.unique(group_N)),
        alpha=options.alpha,
        threshold_RC=set_thresholds(probability_NC, label_N, options.alpha, group_N),
        precision=options.precision,
        risk=options.risk,
        confidence=confident_enough(
            probability_NC.max(axis=1),
            probability_NC.argmax(axis=1) == label_N,
            precision=options.precision,
            risk=options.risk,
            group_N=group_N,
        ),
        neighbours=bank.neighbours,
        alarms=bank.alarms,
        distance=bank.distance,
        bank_BD=bank.row_BD,
    )


def set_thresholds(
    probability_NC: NDArray[np.float64],
    label_N: NDArray[np.int64],
    alpha: float,
    group_N: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """The threshold of each class under each of RULES, R x C; `alpha` is the promised rate of misses."""
    classes = probability_NC.shape[1]
    rows = []
    for rule in RULES:
        score_N = true_scores(SCORES["adaptive" if rule.startswith("adaptive") else "lac"](probability_NC), label_N)
        by_class = rule.endswith("by-class")
        rows.append(
            class_thresholds(score_N, label_N, classes, alpha, group_N)
            if by_class
            else np.full(classes, threshold(score_N, alpha, group_N))
        )
    return np.stack(rows)


def _groups(dataset: Dataset, ids: Sequence[str]) -> NDArray[np.int64]:
    return number_groups(dataset.values("group", ids))


def _labels(dataset: Dataset, ids: Sequence[str]) -> NDArray[np.int64]:
    return np.asarray(dataset.values("label", ids).to_numpy(), dtype=np.int64)
