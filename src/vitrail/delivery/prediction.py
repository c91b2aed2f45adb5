"""The prediction for one new image, and the one rule by which probabilities become predictions. Needs no torch.

Letters: N images, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import UsageError
from vitrail.data.dataset import SplitName
from vitrail.heads.refusal import RULES, Limits

TOP = 5  # classes of a prediction
STRANGE = "unlike any training image"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """The prediction for one image. If it could not be read, `error` says why and nothing else is known.

    An image that was not given as a path goes by its place, such as "images[3]". `top` has the most probable classes,
    at most five, the answer first. `set` holds the true class as often as the run promised (90%), if the image is like
    the training images. If `doubt` says why, the honest answer is "I do not know": the image looks like none of the
    training images, or no class has the `least_probability` for the promised precision. That is None if the run's test
    found no such threshold: then no answer is in doubt for being unsure. `true_label` and `group` are those that the
    data give. `run_split` is the split of the run that has an image of the very same bytes.
    """

    path: str
    label: str | None
    probability: float | None
    top: tuple[tuple[str, float], ...]
    error: str | None
    set: tuple[str, ...] = ()
    doubt: str | None = None
    least_probability: float | None = None
    id: str | None = None  # sha256 of the bytes
    true_label: str | None = None
    group: str | None = None
    run_split: SplitName | None = None

    @property
    def reason(self) -> str | None:
        """Why there is no answer; None if there is one."""
        return self.error or self.doubt


def make_predictions(
    classes: Sequence[str],
    limits: Limits,
    probability_NC: NDArray[np.float64],
    distance_N: NDArray[np.float64],
    *,
    rule: str = RULES[0],
) -> list[Prediction]:
    """A prediction for each row; the path is the caller's to fill in.

    Args:
        classes: their names.
        limits: the thresholds that decide about sets and doubt.
        probability_NC: calibrated.
        distance_N: to the training images.
        rule: how sets of classes are made, one of `vitrail.heads.refusal.RULES`.
    """
    order_NC = np.argsort(-probability_NC, axis=1, kind="stable")[:, :TOP]
    set_NC, far_N, sure_N = limits.sets(probability_NC, rule), limits.far(distance_N), limits.sure(probability_NC)
    unsure = f"less sure than the {limits.confidence or 0:.1%} that answers right in {limits.precision:.0%} ask for"
    predictions = []
    for row, order_C in enumerate(order_NC.tolist()):
        top = tuple((classes[c], float(probability_NC[row, c])) for c in order_C)
        predictions.append(
            Prediction(
                path="",
                label=top[0][0],
                probability=top[0][1],
                top=top,
                error=None,
                set=tuple(classes[c] for c in np.flatnonzero(set_NC[row]).tolist()),
                doubt=STRANGE if far_N[row] else None if sure_N[row] else unsure,
                least_probability=limits.confidence,
            )
        )
    return predictions


def require_rule(rule: str) -> None:
    """Check the name of a rule for sets; raises UsageError if there is none of this name."""
    if rule not in RULES:
        raise UsageError(f"There is no rule {rule!r} for sets of classes: choose {', '.join(RULES)}.")


def say_no_confidence(limits: Limits) -> str:
    """What to know of a head without a confidence threshold."""
    return (
        f"This head has no confidence threshold: the run's test found none above which {limits.precision:.0%} of "
        "answers are right. No answer is withheld for being unsure."
    )
