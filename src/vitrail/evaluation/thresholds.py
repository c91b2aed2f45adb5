"""Whether the thresholds of a head kept their promises on the test images (`candidates/thresholds.py` sets them).

Letters: N examples, M examples of a class, C classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.heads.refusal import RULES, Refusal, SetOn
from vitrail.statistics.clustered import clustered_rate, group_weights
from vitrail.statistics.conformal import coverage_range
from vitrail.statistics.intervals import LEVEL, Interval, wilson

CROSS = "cross-conformal: set on out-of-fold probabilities, no finite-sample guarantee since the head was refitted"
NEW_GROUP = "an image drawn from a new group, each group counting the same"


@dataclass(frozen=True, kw_only=True, slots=True)
class SetCheck:
    """One rule for sets of classes on the test images: how often they held the true class, and how large they were.

    `worst_class` is the lowest coverage of a class of the test; each group with images of the class counts the same in
    it. `empty` is the share of sets without a class.
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

    `set_on` says on which kind of images thresholds were set, `images` how many and `groups` from how many groups. If
    there are fewer groups than images, promises are about images from new groups, and every rate here counts each
    group of the test the same. `precision` is that of the answers above the confidence, `answered` their share. Both
    and `confidence` are None if no confidence reaches the target; `precision` is also None if no test image is above
    it. `flagged` is the share of test images that look strange; `alarms` is the share that was promised.
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
    groups: int


def check_refusal(
    refusal: Refusal,
    probability_NC: NDArray[np.float64],
    strange_N: NDArray[np.bool_],
    label_N: NDArray[np.int64],
    *,
    group_N: NDArray[np.int64] | None = None,
    level: float = LEVEL,
) -> RefusalCheck:
    """Check on the test images whether the promises hold; `group_N` is None if images are independent."""
    sure_N = refusal.sure(probability_NC)
    right_N = probability_NC.argmax(axis=1) == label_N
    promised = refusal.confidence is not None
    every_N = np.ones(len(label_N), bool)
    return RefusalCheck(
        guarantee=say_guarantee(refusal),
        sets=tuple(_check_sets(refusal, rule, probability_NC, label_N, group_N, level) for rule in RULES),
        target_precision=refusal.precision,
        risk=refusal.risk,
        confidence=refusal.confidence,
        precision=_rate(right_N, sure_N, group_N, level) if promised and sure_N.any() else None,
        answered=_rate(sure_N, every_N, group_N, level) if promised else None,
        alarms=refusal.alarms,
        flagged=_rate(strange_N, every_N, group_N, level),
        set_on=refusal.set_on,
        images=refusal.images,
        groups=refusal.groups,
    )


def say_guarantee(refusal: Refusal) -> str:
    """The guarantee of the sets of classes, in words."""
    grouped = refusal.groups < refusal.images
    if refusal.set_on == "out-of-fold":
        return f"{CROSS}; it is about {NEW_GROUP}" if grouped else CROSS
    guarantee = (
        f"split conformal: set on {refusal.images:,} images of a calibration split that neither trained nor chose the "
        f"head; a set holds the true class with a probability of at least {1 - refusal.alpha:.0%}, "
    )
    if grouped:
        return guarantee + (
            f"for {NEW_GROUP}, if that group is exchangeable with the {refusal.groups:,} groups of these images, "
            "averaged over draws of them"
        )
    low, high = coverage_range(refusal.images, refusal.alpha)
    return guarantee + (
        "for an image exchangeable with them, averaged over draws of them (for a single draw it lies between "
        f"{low:.1%} and {high:.1%})"
    )


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
    every_N, weight_N = np.ones(len(label_N), bool), _weights(len(label_N), group_N)
    size_N = set_NC.sum(axis=1)
    return SetCheck(
        rule=rule,
        promised=1 - refusal.alpha,
        coverage=_rate(held_N, every_N, group_N, level),
        mean_size=float(np.average(size_N, weights=weight_N)),
        empty=float(np.average(size_N == 0, weights=weight_N)),
        worst_class=min(
            float(np.average(held_N[row_M], weights=_weights(len(row_M), None if group_N is None else group_N[row_M])))
            for row_M in (np.flatnonzero(label_N == index) for index in np.unique(label_N))
        ),
    )


def _rate(
    event_N: NDArray[np.bool_], among_N: NDArray[np.bool_], group_N: NDArray[np.int64] | None, level: float
) -> Interval:
    """How often the event happens among some of the images; each group counts the same with all of its images."""
    if group_N is None or len(np.unique(group_N)) == len(group_N):
        return wilson(int(event_N[among_N].sum()), int(among_N.sum()), level)
    return clustered_rate(event_N[among_N], group_N[among_N], level, weight_N=_weights(len(group_N), group_N)[among_N])


def _weights(n: int, group_N: NDArray[np.int64] | None) -> NDArray[np.float64]:
    return np.ones(n) if group_N is None else group_weights(group_N)
