"""What training on other images of the same number could change: each accuracy, and which of two backbones leads.

The intervals of a verdict are of these very heads, over draws of test images. A person who trains again, or who asks
whether a backbone is better rather than a head of it, needs the draw of the training images as well. Its variance comes
from heads on halves of train and val (`statistics/training_variance.py`), which are the same for all backbones, so that
it is known for differences too. The setting of a head is not searched again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from vitrail.evaluation.pairs import Pair
from vitrail.evaluation.sentences import say_names, say_rate
from vitrail.statistics.intervals import Interval, normal_quantile
from vitrail.statistics.training_variance import HalvesScored, TrainingVariance, training_variance

TOLD = 1.0  # errors of its own that a variance must be to be stated; five folds never give more than 1.6
METHOD = "widened by the variance between trainings"


@dataclass(frozen=True, kw_only=True, slots=True)
class Retraining:
    """How far top-1 moves with other training images of the same number; `deviation` and `most` are fractions.

    The deviation is no more than `most` with 95% confidence: from few images it can be told no better. `top1` is the
    interval of the expected accuracy over draws of training images and test images.
    """

    deviation: float
    most: float
    top1: Interval
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrainedPair:
    """A pair judged over draws of training images as well; `deviation` is that of the difference between trainings.

    `adjusted_p` is the p value that both do equally well on average over trainings, times the number of pairs.
    `could_turn` says that the pair is decided on these heads, but not over trainings.
    """

    a: str
    b: str
    deviation: float
    p_value: float
    adjusted_p: float
    could_turn: bool


def judge_retraining(top1: Interval, halves: HalvesScored) -> Retraining:
    """The accuracy of one backbone over draws of training images."""
    first_N, second_N = halves.first_N.astype(np.float64), halves.second_N.astype(np.float64)
    found = training_variance(first_N, second_N, halves.fold_N, halves.group_N).scaled(halves.share)
    deviation, z = math.sqrt(found.variance), normal_quantile(top1.level)
    freedom = max(1.0, found.freedom(((top1.high - top1.low) / (2 * z)) ** 2))
    longer = float(stats.t.ppf((1 + top1.level) / 2, freedom)) / z
    # Both errors are independent, so that the squares of their widths add up.
    low = max(0.0, top1.value - longer * math.hypot(top1.value - top1.low, z * deviation))
    high = min(1.0, top1.value + longer * math.hypot(top1.high - top1.value, z * deviation))
    method = f"{top1.method}, {METHOD}"
    wide = Interval(value=top1.value, low=low, high=high, level=top1.level, method=method, n=top1.n)
    most = math.sqrt(found.variance + float(stats.norm.ppf(0.95)) * found.error)
    return Retraining(deviation=deviation, most=most, top1=wide, sentence=_say_retraining(found, most, wide))


def judge_retrained_pairs(
    pairs: Sequence[Pair], halves: Mapping[str, HalvesScored], *, level: float
) -> tuple[RetrainedPair, ...]:
    """The pairs of backbones with halves, over draws of training images; p values are times their number."""
    known = [pair for pair in pairs if pair.a in halves and pair.b in halves]
    variances = [_pair_variance(halves[pair.a], halves[pair.b]) for pair in known]
    p_values = [_p_over_trainings(pair, variance) for pair, variance in zip(known, variances, strict=True)]
    return tuple(
        RetrainedPair(
            a=pair.a,
            b=pair.b,
            deviation=math.sqrt(variance.variance),
            p_value=p,
            adjusted_p=min(1.0, p * len(known)),
            could_turn=pair.conclusion in ("a is better", "b is better") and p * len(known) >= 1 - level,
        )
        for pair, variance, p in zip(known, variances, p_values, strict=True)
    )


def say_could_turn(pairs: Sequence[RetrainedPair], best: str) -> tuple[str, ...]:
    """The caveat of a decision that leans on leads of `best` that another training could turn; empty without any."""
    others = [pair.b if pair.a == best else pair.a for pair in pairs if pair.could_turn and best in (pair.a, pair.b)]
    if not others:
        return ()
    return (
        f"Trained on other images of the same number, the order of {best} and {say_names(others)} could turn round: "
        "these heads differ, but the difference is not clear of what another draw of training images would change.",
    )


def _pair_variance(a: HalvesScored, b: HalvesScored) -> TrainingVariance:
    """Of the difference in accuracy; both heads learn from the same images, so that part of their luck is shared."""
    first_N = a.first_N.astype(np.float64) - b.first_N
    second_N = a.second_N.astype(np.float64) - b.second_N
    return training_variance(first_N, second_N, a.fold_N, a.group_N).scaled(a.share)


def _p_over_trainings(pair: Pair, training: TrainingVariance) -> float:
    """The p value of no difference on average over trainings and test images; never less than that of these heads.

    Student's t, since the variance between trainings is an estimate from a few folds.
    """
    n, lead = pair.difference.n, pair.difference.value
    # Two pseudo-examples of discordance: none seen in few images does not mean none to come.
    drawn = pair.design_effect * ((pair.only_a + pair.only_b + 2) / (n + 2) - lead**2) / n
    t = abs(lead) / math.sqrt(drawn + training.variance)
    return max(pair.mcnemar_p, float(2 * stats.t.sf(t, max(1.0, training.freedom(drawn)))))


def _say_retraining(found: TrainingVariance, most: float, top1: Interval) -> str:
    """Its deviation where the images tell it, else how large it may be."""
    told = found.variance >= TOLD * found.error
    size = f"about ± {100 * math.sqrt(found.variance):.1f} points" if told else f"± {100 * most:.1f} points at most"
    return (
        f"With other training images of the same number, the accuracy would move by {size} (one standard deviation); "
        f"the average over trainings is at {say_rate(top1)}."
    )
