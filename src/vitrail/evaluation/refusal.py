"""When not to answer: thresholds set on out-of-fold probabilities, and their promises checked on the test images.

Out-of-fold probabilities come from heads that did not see the example, but the head that is kept was refitted on all of
them. Its sets therefore keep their promise as far as refitting changes little (cross-conformal prediction, Vovk 2015,
Ann. Math. Artif. Intell. 74:9-28): there is no guarantee for finite samples, which is why the test images are asked.

Letters: N examples, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.core.hashing import sha256_bytes
from vitrail.data import Dataset
from vitrail.heads.refusal import RULES, Refusal, neighbour_distance, unit_rows
from vitrail.search import Search
from vitrail.search.examples import Rows
from vitrail.statistics.conformal import SCORES, class_thresholds, confident_enough, threshold, true_scores
from vitrail.statistics.intervals import LEVEL, Interval, wilson

GUARANTEE = "cross-conformal: set on out-of-fold probabilities of a head refitted since, no finite-sample guarantee"
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

    `precision` is of the answers that are sure enough, `answered` their share; both None where no confidence can
    promise the target. `flagged` is the share of test images that look strange, of which `alarms` was promised.
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


def refusal_of(search: Search, features: Rows, dataset: Dataset) -> Refusal:
    """The thresholds of the head that a search found, from its out-of-fold probabilities on train and val."""
    label = dict(zip(dataset.table["id"].to_pylist(), dataset.table["label"].to_pylist(), strict=True))
    label_N = np.array([label[example] for example in search.oof_ids], dtype=np.int64)
    return fit_refusal(search.oof_ids, search.oof_probability_NC, label_N, features.rows(search.oof_ids))


def fit_refusal(
    ids: Sequence[str],
    probability_NC: NDArray[np.float64],
    label_N: NDArray[np.int64],
    feature_ND: NDArray[np.float32],
    options: RefusalOptions | None = None,
) -> Refusal:
    """Set every threshold on training images.

    Args:
        ids: of train and val.
        probability_NC: their out-of-fold probabilities.
        label_N: their labels.
        feature_ND: their features.
        options: what shall be promised.

    Returns:
        The thresholds and the bank of features.
    """
    options = options or RefusalOptions()
    classes = probability_NC.shape[1]
    rows = []
    for rule in RULES:
        score_N = true_scores(SCORES["adaptive" if rule.startswith("adaptive") else "lac"](probability_NC), label_N)
        by_class = rule.endswith("by-class")
        rows.append(
            class_thresholds(score_N, label_N, classes, options.alpha)
            if by_class
            else np.full(classes, threshold(score_N, options.alpha))
        )
    correct_N = probability_NC.argmax(axis=1) == label_N
    bank_BD = unit_rows(feature_ND[_drawn(ids)]).astype(np.float16)
    neighbours = min(options.neighbours, len(bank_BD) - 1)
    # Each row of the bank is its own nearest: the neighbour after k is the k-th of the others.
    distance_B = neighbour_distance(bank_BD.astype(np.float32), bank_BD, neighbours + 1)
    farthest = min(threshold(distance_B, options.alarms), float(distance_B.max()))
    return Refusal(
        alpha=options.alpha,
        threshold_RC=np.stack(rows),
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


def check_refusal(
    refusal: Refusal,
    probability_NC: NDArray[np.float64],
    strange_N: NDArray[np.bool_],
    label_N: NDArray[np.int64],
    *,
    level: float = LEVEL,
) -> RefusalCheck:
    """See on the test images whether the promises hold.

    Args:
        refusal: the thresholds.
        probability_NC: of the test images.
        strange_N: which of them look strange.
        label_N: their labels.
        level: the confidence level.

    Returns:
        Every promise with what became of it.
    """
    sure_N = refusal.sure(probability_NC)
    right_N = probability_NC.argmax(axis=1) == label_N
    promised = refusal.confidence is not None
    n, answered = len(label_N), int(sure_N.sum())
    return RefusalCheck(
        guarantee=GUARANTEE,
        sets=tuple(_check_sets(refusal, rule, probability_NC, label_N, level) for rule in RULES),
        target_precision=refusal.precision,
        risk=refusal.risk,
        confidence=refusal.confidence,
        precision=wilson(int((right_N & sure_N).sum()), answered, level) if promised and answered else None,
        answered=wilson(answered, n, level) if promised else None,
        alarms=refusal.alarms,
        flagged=wilson(int(strange_N.sum()), n, level),
    )


def _check_sets(
    refusal: Refusal, rule: str, probability_NC: NDArray[np.float64], label_N: NDArray[np.int64], level: float
) -> SetCheck:
    set_NC = refusal.sets(probability_NC, rule)
    held_N = np.take_along_axis(set_NC, label_N[:, None], axis=1)[:, 0]
    size_N = set_NC.sum(axis=1)
    return SetCheck(
        rule=rule,
        promised=1 - refusal.alpha,
        coverage=wilson(int(held_N.sum()), len(label_N), level),
        mean_size=float(size_N.mean()),
        empty=float((size_N == 0).mean()),
        worst_class=min(float(held_N[label_N == index].mean()) for index in np.unique(label_N)),
    )


def _drawn(ids: Sequence[str]) -> NDArray[np.int64]:
    """The rows that go into the bank, by sha256 of their id: the same for the same images in any order."""
    order = sorted(range(len(ids)), key=lambda row: sha256_bytes(f"bank:{ids[row]}".encode()))
    return np.array(sorted(order[:BANK]), dtype=np.int64)
