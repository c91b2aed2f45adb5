"""What a verdict is made from, and its checks, which run while the test labels are still sealed.

Letters: N examples, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import DataError, UsageError
from vitrail.data.leave_out import LeaveOutPlan
from vitrail.data.out_of_fold import OutOfFold
from vitrail.data.traces import Traces
from vitrail.heads.refusal import Refusal
from vitrail.statistics.intervals import LEVEL
from vitrail.statistics.metrics import DecideBy, fault_of_decide_by
from vitrail.statistics.paired import fault_of_level_or_margin
from vitrail.statistics.training_variance import HalvesScored
from vitrail.statistics.two_samples import TwoSamples

MARGIN = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Contestant:
    """One backbone with its tuned head, as the verdict gets it: its probabilities on the test images.

    After the opening its figures make it a `Contender` of the decision. `gmacs` are its card's. `traces` are the signs
    that it saw the test images in pretraining: None in a verification, which takes what the run stored. `refusal` says
    when not to answer, and `strange_N` which test images look unlike the training images: None if a verification cannot
    read the thresholds. `halves` tell how far training on other images moves its accuracy: None if the search fitted
    none. `out_of_fold` has its answers on train and val, None for the same reason. `features` compare test and training
    images, if the test was given. `new_probability_MC` are the answers for the images of `JudgedImages.left_out` of
    heads that never saw their value.
    """

    name: str
    gmacs: float
    licence: str
    probability_NC: NDArray[np.float64] = field(repr=False)
    traces: Traces | None = field(default=None, repr=False)
    refusal: Refusal | None = field(default=None, repr=False)
    strange_N: NDArray[np.bool_] | None = field(default=None, repr=False)
    halves: HalvesScored | None = field(default=None, repr=False)
    out_of_fold: OutOfFold | None = field(default=None, repr=False)
    features: TwoSamples | None = None
    new_probability_MC: NDArray[np.float64] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedImages:
    """The images that all contestants are judged on, in the order of their probabilities.

    `classes` are in the order of the columns. `groups` has the group of each example that has one; images of one group
    are not independent. `warnings` are sentences about the data, which become caveats of the decision. `slices` has the
    value of each image in each further column that is shown, `left_out` the plan of the column whose values were left
    out in turn. `given` says that the test was given, not drawn from the same images as train.
    """

    ids: tuple[str, ...] = field(repr=False)
    classes: tuple[str, ...]
    groups: Mapping[str, str] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()
    slices: Mapping[str, Sequence[str | None]] = field(default_factory=dict, repr=False)
    left_out: LeaveOutPlan | None = None
    given: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Criteria:
    """The confidence level of every interval, and the margin: below this difference, a fraction, cost decides.

    `decide_by` says which accuracy that is. `seed` is that of the draws behind the interval of the calibration error,
    the only one that draws. `balanced` says that the heads were fitted so that every class counts the same, which
    changes what their probabilities mean. `left` counts the candidates that left a race before the test.

    Raises:
        UsageError: level or margin are not between 0 and 1, or the accuracy to decide by is unknown.
    """

    level: float = LEVEL
    margin: float = MARGIN
    decide_by: DecideBy = "top1"
    seed: int = 0
    balanced: bool = False
    left: int = 0

    def __post_init__(self) -> None:
        fault = fault_of_level_or_margin(self.level, self.margin) or fault_of_decide_by(self.decide_by)
        if fault:
            raise UsageError(fault)


def check_contestants(contestants: Sequence[Contestant], test_ids: Sequence[str], classes: Sequence[str]) -> None:
    """Check the probabilities and images that figures are computed from.

    Raises:
        DataError: there is nothing to judge, a name or image occurs twice, or probabilities do not fit.
    """
    if not contestants or not test_ids:
        what = "test image" if contestants else "backbone"
        raise DataError(f"There is no {what} to judge: give at least one.")
    if len({c.name for c in contestants}) < len(contestants):
        raise DataError("Two backbones of this run have the same name: rename one of them.")
    if len(set(test_ids)) < len(test_ids):
        raise DataError("An example is in the test split twice: remove it and split again.")
    expected = (len(test_ids), len(classes))
    for c in contestants:
        if c.probability_NC.shape != expected:
            raise DataError(
                f"{c.name} has probabilities of shape {c.probability_NC.shape}, not {expected}: fit it again."
            )
        # NaN compares false, so this refuses it too.
        if not ((c.probability_NC >= 0) & (c.probability_NC < np.inf)).all():
            raise DataError(f"{c.name} has probabilities that are negative or not finite: fit it again.")


def check_sums(contestants: Sequence[Contestant]) -> None:
    """Check that the probabilities of each example add up to 1.

    Only for new probabilities: `verify` still computes figures from stored ones that were changed, and names what
    differs.

    Raises:
        DataError: the probabilities of a contestant do not add up to 1.
    """
    for c in contestants:
        if (np.abs(c.probability_NC.sum(axis=1) - 1) >= 1e-5).any():
            raise DataError(f"{c.name} has probabilities that do not add up to 1: fit it again.")


def check_labels(label_N: NDArray[np.int64], test_ids: Sequence[str], classes: Sequence[str]) -> None:
    """Check that each test image has one label of a known class.

    Raises:
        DataError: the number of labels is wrong, or a label is not one of the classes.
    """
    if label_N.shape != (len(test_ids),):
        raise DataError(f"There are {len(label_N)} labels for {len(test_ids)} test images: split again.")
    if label_N.min() < 0 or label_N.max() >= len(classes):
        raise DataError(f"A label of a test image is not one of the {len(classes)} classes: split again.")
