"""Whether test images are like the training images: their features, class shares and accuracy compared.

Thresholds, sets of classes and refusals assume that new images are drawn in the same way as the training images. Three
signs speak against it; the first is known before the test labels are opened:

- a classifier can tell the features of test and training images apart (`statistics/two_samples.py`);
- the class shares differ (the chi-square statistic of both samples, against permutations of whole groups);
- the accuracy on the test images is below the out-of-fold accuracy on the training images. Without a shift it may well
  be above: heads out of fold train on four fifths of the images, so this sign appears too rarely rather than too often.

Features and shares are compared only if the test was given: a test that Vitrail drew comes from the same images. Each
sign has the level of the run for all backbones together (Bonferroni), so that each sign appears in at most 5% of the
runs without a shift.

Letters: N images, C classes, G groups.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitrail.data.out_of_fold import OutOfFold
from vitrail.evaluation.sentences import say_p, say_points, say_rate
from vitrail.statistics.intervals import Interval
from vitrail.statistics.metrics import rate
from vitrail.statistics.two_samples import TwoSamples
from vitrail.statistics.unpaired import unpaired_difference

PERMUTATIONS = 999
Kept = Literal["below", "above", "as promised"]
MEANS = "Thresholds, sets of classes and refusals assume images drawn in the same way as the training images"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassShares:
    """Class shares of test and training images: `distance` is half of the sum of absolute differences.

    `p_value` is for the hypothesis that both were drawn in the same way.
    """

    distance: float
    p_value: float
    differ: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift:
    """How test and training images differ, by one backbone.

    `features` is None unless the test was given; `differ` says that the difference is significant after the correction
    for all backbones. `out_of_fold` is the accuracy on train and val, `change` the test accuracy minus that, with an
    interval that holds for all backbones together; `kept` is the conclusion from that interval. All three are None if
    the search kept no out-of-fold answers. `sentence` is "" without a sign.
    """

    features: TwoSamples | None
    differ: bool
    out_of_fold: Interval | None
    change: Interval | None
    kept: Kept | None
    sentence: str


def compare_shares(
    test_N: NDArray[np.int64],
    test_group_N: NDArray[np.int64] | None,
    learnt: OutOfFold,
    *,
    generator: np.random.Generator,
    level: float,
) -> ClassShares:
    """Compare the class shares of test images with those of train and val; no group may be in both."""
    test_group_N = np.arange(len(test_N)) if test_group_N is None else test_group_N
    group_N = np.concatenate([test_group_N, learnt.group_N + test_group_N.max() + 1])
    label_N = np.concatenate([test_N, learnt.label_N])
    number_N = np.unique(group_N, return_inverse=True)[1].reshape(-1)
    groups = int(number_N.max()) + 1
    member_G = np.zeros(groups, dtype=bool)
    member_G[number_N[: len(test_N)]] = True
    all_C = np.bincount(label_N).astype(np.float64)

    def count_test(member_G: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.bincount(label_N[member_G[number_N]], minlength=len(all_C)).astype(np.float64)

    test_C = count_test(member_G)
    statistic = _chi_square(test_C, all_C)
    by_chance = [_chi_square(count_test(generator.permutation(member_G)), all_C) for _ in range(PERMUTATIONS)]
    p_value = (1 + sum(other >= statistic - 1e-9 for other in by_chance)) / (1 + PERMUTATIONS)
    shares = [part_C / part_C.sum() for part_C in (test_C, all_C - test_C)]
    return ClassShares(
        distance=float(np.abs(shares[0] - shares[1]).sum() / 2), p_value=p_value, differ=p_value < 1 - level
    )


def judge_shift(
    right_N: NDArray[np.bool_],
    group_N: NDArray[np.int64] | None,
    learnt: OutOfFold | None,
    features: TwoSamples | None,
    *,
    backbones: int,
    level: float,
) -> Shift:
    """Compare test and training images by one backbone.

    Args:
        right_N: whether each test image is right.
        group_N: the group of each test image; None if images are independent.
        learnt: train and val; None if there are no answers out of fold.
        features: the comparison of features that was made before the opening, if any.
        backbones: how many are compared.
        level: of all of them together.
    """
    alone = 1 - (1 - level) / backbones
    differ = features is not None and features.p_value < 1 - alone
    change = out_of_fold = kept = None
    if learnt is not None:
        grouped = learnt.group_N if 1 < len(np.unique(learnt.group_N)) < len(learnt.group_N) else None
        before, after = rate(learnt.right_N, grouped, level=alone), rate(right_N, group_N, level=alone)
        change = unpaired_difference(after, before)
        out_of_fold = rate(learnt.right_N, grouped, level=level)
        kept = _conclude(change)
    return Shift(
        features=features,
        differ=differ,
        out_of_fold=out_of_fold,
        change=change,
        kept=kept,
        sentence=_say(features if differ else None, out_of_fold, change if kept == "below" else None),
    )


def say_shift(name: str, shift: Shift, shares: ClassShares | None) -> tuple[str, ...]:
    """The signs that test and training images differ, and what follows for thresholds, for one backbone."""
    signs = []
    if shift.sentence:
        signs.append(f"{name}: {shift.sentence}")
    if shares is not None and shares.differ:
        signs.append(
            f"The class shares of test and training differ: {100 * shares.distance:.1f}% of the test images would have "
            f"to change class to match ({say_p(shares.p_value)})."
        )
    return (f"{' '.join(signs)} {MEANS}: here they may fail.",) if signs else ()


def _say(features: TwoSamples | None, out_of_fold: Interval | None, change: Interval | None) -> str:
    said = []
    if features is not None:
        said.append(
            f"a classifier can tell test images from training images by their features (area under its ROC curve "
            f"{features.auc:.2f}, by chance below {features.by_chance:.2f}; {say_p(features.p_value)})"
        )
    if change is not None and out_of_fold is not None:
        less = replace(change, value=-change.value, low=-change.high, high=-change.low)
        said.append(
            f"the accuracy on the test images is {say_points(less)} below the {say_rate(out_of_fold)} measured out of "
            "fold on the training images"
        )
    sentence = ", and ".join(said)
    return f"{sentence}." if sentence else ""


def _conclude(change: Interval) -> Kept:
    if change.high < 0:
        return "below"
    return "above" if change.low > 0 else "as promised"


def _chi_square(test_C: NDArray[np.float64], all_C: NDArray[np.float64]) -> float:
    expected_C = all_C * test_C.sum() / all_C.sum()
    there_C = all_C > 0
    return float(((test_C - expected_C)[there_C] ** 2 / all_C[there_C]).sum() * all_C.sum() / test_C.sum())
