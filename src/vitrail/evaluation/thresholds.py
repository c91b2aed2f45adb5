"""Whether the thresholds of a head kept their promises on the test images (`candidates/thresholds.py` sets them).

Letters: N examples, C classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.heads.refusal import RULES, Refusal, SetOn
from vitrail.statistics.conformal import coverage_range
from vitrail.statistics.intervals import LEVEL, Interval
from vitrail.statistics.metrics import rate

CROSS = "cross-conformal: set on out-of-fold probabilities of a head refitted since, no finite-sample guarantee"


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

    `set_on` says on which kind of images thresholds were set, `images` on how many. `precision` is of the answers that
    are sure enough, `answered` their share; both and `confidence` are None if no confidence can promise the target,
    `precision` also if no test image is that sure. `flagged` is the share of test images that look strange; `alarms`
    is the share that was promised.
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
    set_on: SetOn
    images: int


def check_refusal(
    refusal: Refusal,
    probability_NC: NDArray[np.float64],
    strange_N: NDArray[np.bool_],
    label_N: NDArray[np.int64],
    *,
    group_N: NDArray[np.int64] | None = None,
    level: float = LEVEL,
) -> RefusalCheck:
    """See on the test images whether the promises hold; `group_N` is None if images are independent."""
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
    guarantee = (
        f"split conformal: set on {refusal.images:,} images of a calibration split that neither trained nor chose the "
        f"head; a set holds the class with a chance of at least {1 - refusal.alpha:.0%}, for an image exchangeable "
        f"with them and on average over draws of them (of one such draw it lies between {low:.1%} and {high:.1%})"
    )
    if refusal.groups < refusal.images:
        guarantee += f"; they come from {refusal.groups:,} groups, whose images are not exchangeable one by one"
    return guarantee


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
