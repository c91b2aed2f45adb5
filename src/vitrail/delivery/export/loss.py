"""Whether an export in a reduced precision loses accuracy: the rule that accepts or refuses it.

It is accepted if the interval of the paired difference, export less run, excludes a loss of more than MOST_LOSS. That
takes images: if only a few answers differ, about 2,000, and with 200 it cannot be shown at all.
"""

import math
from dataclasses import dataclass
from typing import Literal

from vitrail.evaluation.pairs import Pair
from vitrail.statistics.intervals import Interval, normal_quantile

MOST_LOSS = 0.003  # of the metric that the run was decided by

LossOutcome = Literal["excluded", "shown", "undecided"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LossCheck:
    """Whether a loss of more than `most` is excluded, shown or undecided; `conclusion` is that as a clause.

    `accepted` says that the export was asked for whatever the outcome, with --accept-loss.
    """

    outcome: LossOutcome
    most: float
    accepted: bool
    conclusion: str

    def fault(self) -> str | None:
        """Why the export is refused; None if it is not."""
        return None if self.accepted or self.outcome == "excluded" else self.conclusion


def check_loss(pair: Pair, word: str, *, accepted: bool, most: float = MOST_LOSS) -> LossCheck:
    """The outcome from the paired difference.

    Args:
        pair: the export as `a`, the run as `b`.
        word: the name of the metric.
        accepted: whether any loss is accepted.
        most: the loss that must be excluded, as a fraction.
    """
    difference, points = pair.difference, f"{100 * most:g} points"
    interval = say_interval(difference)
    if difference.low > -most:
        outcome: LossOutcome = "excluded"
        conclusion = f"a loss of {word} of more than {points} is excluded ({interval})"
    elif difference.high < 0:
        outcome = "shown"
        conclusion = (
            f"its {word} is lower than the run's, and a loss of more than {points} is not excluded ({interval})"
        )
    else:
        outcome = "undecided"
        conclusion = (
            f"whether its {word} is more than {points} lower than the run's is undecided ({interval}): "
            f"{_say_size(pair, most)}"
        )
    return LossCheck(outcome=outcome, most=most, accepted=accepted, conclusion=conclusion)


def say_interval(difference: Interval) -> str:
    """The difference with its interval, to hundredths of a point: tenths would not tell it from `MOST_LOSS`."""
    value, low, high = (100 * part for part in (difference.value, difference.low, difference.high))
    return f"export less run: {value:+.2f} points [{low:.2f}, {high:.2f}]"


def _say_size(pair: Pair, most: float) -> str:
    """Why a test does not decide: too few images at any rate, or for so many images that only one side gets right."""
    images, least = pair.difference.n, least_images(most, pair.difference.level)
    if images / pair.design_effect < least:
        return f"a test of {images:,} images cannot exclude it, even if no answer differs; that takes {least:,}"
    gained, lost = f"{pair.only_a:,}", f"{pair.only_b:,}"
    return f"of {images:,} images the export alone gets {gained} right and the run alone {lost}, too many for this test"


def least_images(most: float, level: float) -> int:
    """How many independent images exclude a loss of more than `most` if no answer differs.

    Tango's lower limit is then -z^2 / (n + z^2).
    """
    return math.floor(normal_quantile(level) ** 2 * (1 - most) / most) + 1
