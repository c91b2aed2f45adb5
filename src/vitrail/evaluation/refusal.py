"""When not to answer: thresholds set on images that a head did not see, and their promises checked on the test images.

Two ways. Without a calibration part they are set on out-of-fold probabilities, which come from heads that did not see
the example, but the head that is kept was refitted on all of them. Its sets therefore keep their promise as far as
refitting changes little (cross-conformal prediction, Vovk 2015, Ann. Math. Artif. Intell. 74:9-28): there is no
guarantee for finite samples, which is why the test images are asked.

With a calibration part of its own (split conformal) they are set on what the very head that is kept says of images
that neither trained nor chose it: a new image that is exchangeable with them is in its set with a chance of at least
1 - alpha, exactly. The temperature is not fitted there, since a score that depends on the calibration images and not
in the same way on the new one would break just that.

Letters: N examples, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrail.core.hashing import sha256_bytes
from vitrail.data import Dataset, Split
from vitrail.evaluation.predictions import Predictions
from vitrail.heads import probabilities
from vitrail.heads.refusal import RULES, Refusal, SetOn, neighbour_distance, unit_rows
from vitrail.search import Search
from vitrail.search.examples import Rows
from vitrail.statistics.conformal import (
    SCORES,
    class_thresholds,
    confident_enough,
    coverage_range,
    threshold,
    true_scores,
)
from vitrail.statistics.intervals import LEVEL, Interval
from vitrail.statistics.metrics import rate

CROSS = "cross-conformal: set on out-of-fold probabilities of a head refitted since, no finite-sample guarantee"
BANK = 2_000  # rows: enough for k-th neighbours, small beside the weights


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusalOptions:
    """What is promised: sets miss in `alpha`, answers are right in `precision` but for a `risk`; false `alarms`."""

    alpha: float = 0.1
    precision: float = 0.95
    risk: float = 0.1
    alarms: float = 0.01
    neighbours: int = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class SetCheck:
    """One rule for sets on the test images: how often they held the true class, and how large they were.

    `worst_class` is the lowest coverage of a class of the test; `empty` the share of sets without a class.
    """

    rule: str
    promised: float
    coverage: Interval
    mean_size: float
    empty: float
    worst_class: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusalCheck:
    """The promises on the test images.

    `set_on` says on which kind of images thresholds were set, `images` on how many; 0 where a run does not say.
    `precision` is of the answers that are sure enough, `answered` their share; both and `confidence` are None
    where no confidence can promise the target, `precision` also where no test image is that sure. `flagged` is the
    share of test images that look strange, of which `alarms` was promised.
    """

    guarantee: str
    sets: tuple[SetCheck, ...]
    target_precision: float
    risk: float
    confidence: float | None
    precision: Interval | None
    answered: Interval | None
    alarms: float
    flagged: Interval
    set_on: SetOn = "out-of-fold"
    images: int = 0


def predict_calibration(search: Search, features: Rows, split: Split, dataset: Dataset) -> Predictions | None:
    """What the head that a search found says of the calibration part; None where there is none."""
    if not split.calibration:
        return None
    return Predictions(
        name=search.backbone,
        ids=split.calibration,
        label_N=np.array(_column(dataset, "label", split.calibration), dtype=np.int64),
        probability_NC=probabilities(search.head, features.rows(split.calibration)),
    )


def refusal_of(search: Search, features: Rows, dataset: Dataset, calibrated: Predictions | None = None) -> Refusal:
    """The thresholds of the head that a search found.

    Args:
        search: its winner, with out-of-fold probabilities on train and val.
        features: rows of train and val.
        dataset: where labels come from.
        calibrated: what that head says of the calibration part; where None, out-of-fold probabilities stand in.

    Returns:
        The thresholds and the bank of features.
    """
    seen_ND = features.rows(search.oof_ids)
    ids = search.oof_ids if calibrated is None else calibrated.ids
    return fit_refusal(
        search.oof_ids,
        seen_ND,
        search.oof_probability_NC if calibrated is None else calibrated.probability_NC,
        np.array(_column(dataset, "label", ids), dtype=np.int64),
        set_on="out-of-fold" if calibrated is None else "calibration",
        groups=len({group or example for group, example in zip(_column(dataset, "group", ids), ids, strict=True)}),
    )


def fit_refusal(
    trained_ids: Sequence[str],
    trained_ND: NDArray[np.float32],
    probability_NC: NDArray[np.float64],
    label_N: NDArray[np.int64],
    options: RefusalOptions | None = None,
    *,
    set_on: SetOn = "out-of-fold",
    groups: int | None = None,
) -> Refusal:
    """Set every threshold.

    Args:
        trained_ids: of train and val, from which the bank of features is drawn.
        trained_ND: their features.
        probability_NC: of the images that sets and confidence are set on.
        label_N: their labels.
        options: what shall be promised.
        set_on: which images these are.
        groups: from how many groups they come; None for one each.

    Returns:
        The thresholds and the bank of features.
    """
    options = options or RefusalOptions()
    correct_N = probability_NC.argmax(axis=1) == label_N
    bank_BD = unit_rows(trained_ND[_drawn(trained_ids)]).astype(np.float16)
    neighbours = min(options.neighbours, len(bank_BD) - 1)
    # Each row of the bank is its own nearest: the neighbour after k is the k-th of the others.
    distance_B = neighbour_distance(bank_BD.astype(np.float32), bank_BD, neighbours + 1)
    farthest = min(threshold(distance_B, options.alarms), float(distance_B.max()))
    return Refusal(
        set_on=set_on,
        images=len(label_N),
        groups=len(label_N) if groups is None else groups,
        alpha=options.alpha,
        threshold_RC=set_thresholds(probability_NC, label_N, options.alpha),
        precision=options.precision,
        risk=options.risk,
        confidence=confident_enough(
            probability_NC.max(axis=1), correct_N, precision=options.precision, risk=options.risk
        ),
        neighbours=neighbours,
        alarms=options.alarms,
        distance=farthest,
        bank_BD=bank_BD,
    )


def set_thresholds(
    probability_NC: NDArray[np.float64], label_N: NDArray[np.int64], alpha: float
) -> NDArray[np.float64]:
    """The threshold of each class under each of RULES.

    Args:
        probability_NC: of the images that thresholds are set on.
        label_N: their labels.
        alpha: the promised rate of misses.

    Returns:
        R x C.
    """
    classes = probability_NC.shape[1]
    rows = []
    for rule in RULES:
        score_N = true_scores(SCORES["adaptive" if rule.startswith("adaptive") else "lac"](probability_NC), label_N)
        by_class = rule.endswith("by-class")
        rows.append(
            class_thresholds(score_N, label_N, classes, alpha)
            if by_class
            else np.full(classes, threshold(score_N, alpha))
        )
    return np.stack(rows)


def check_refusal(
    refusal: Refusal,
    probability_NC: NDArray[np.float64],
    strange_N: NDArray[np.bool_],
    label_N: NDArray[np.int64],
    *,
    group_N: NDArray[np.int64] | None = None,
    level: float = LEVEL,
) -> RefusalCheck:
    """See on the test images whether the promises hold.

    Args:
        refusal: the thresholds.
        probability_NC: of the test images.
        strange_N: which of them look strange.
        label_N: their labels.
        group_N: the number of each one's group; None where they are independent.
        level: the confidence level.

    Returns:
        Every promise with what became of it.
    """
    sure_N = refusal.sure(probability_NC)
    right_N = probability_NC.argmax(axis=1) == label_N
    promised = refusal.confidence is not None
    answered = None if group_N is None else group_N[sure_N]
    return RefusalCheck(
        guarantee=say_guarantee(refusal),
        sets=tuple(_check_sets(refusal, rule, probability_NC, label_N, group_N, level) for rule in RULES),
        target_precision=refusal.precision,
        risk=refusal.risk,
        confidence=refusal.confidence,
        precision=rate(right_N[sure_N], answered, level=level) if promised and sure_N.any() else None,
        answered=rate(sure_N, group_N, level=level) if promised else None,
        alarms=refusal.alarms,
        flagged=rate(strange_N, group_N, level=level),
        set_on=refusal.set_on,
        images=refusal.images,
    )


def say_guarantee(refusal: Refusal) -> str:
    """What sets of classes promise, as it is."""
    if refusal.set_on == "out-of-fold":
        return CROSS
    low, high = coverage_range(refusal.images, refusal.alpha)
    said = (
        f"split conformal: set on {refusal.images:,} images of a calibration part that neither trained nor chose the "
        f"head; a set holds the class with a chance of at least {1 - refusal.alpha:.0%}, for an image exchangeable "
        f"with them and on average over draws of them (of one such draw it lies between {low:.1%} and {high:.1%})"
    )
    if refusal.groups < refusal.images:
        said += f"; they come from {refusal.groups:,} groups, whose images are not exchangeable one by one"
    return said


def _column(dataset: Dataset, name: str, ids: Sequence[str]) -> list[Any]:
    found = dict(zip(dataset.table["id"].to_pylist(), dataset.table[name].to_pylist(), strict=True))
    return [found[example] for example in ids]


def _check_sets(
    refusal: Refusal,
    rule: str,
    probability_NC: NDArray[np.float64],
    label_N: NDArray[np.int64],
    group_N: NDArray[np.int64] | None,
    level: float,
) -> SetCheck:
    set_NC = refusal.sets(probability_NC, rule)
    held_N = np.take_along_axis(set_NC, label_N[:, None], axis=1)[:, 0]
    size_N = set_NC.sum(axis=1)
    return SetCheck(
        rule=rule,
        promised=1 - refusal.alpha,
        coverage=rate(held_N, group_N, level=level),
        mean_size=float(size_N.mean()),
        empty=float((size_N == 0).mean()),
        worst_class=min(float(held_N[label_N == index].mean()) for index in np.unique(label_N)),
    )


def _drawn(ids: Sequence[str]) -> NDArray[np.int64]:
    """The rows that go into the bank, by sha256 of their id: the same for the same images in any order."""
    order = sorted(range(len(ids)), key=lambda row: sha256_bytes(f"bank:{ids[row]}".encode()))
    return np.array(sorted(order[:BANK]), dtype=np.int64)
