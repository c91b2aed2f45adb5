"""What training on as many other images could change: each accuracy, and which of two backbones leads.

The intervals of a verdict are for the heads of this run, over draws of test images. To train again, or to compare
backbones rather than their heads, one needs the variation between draws of training images as well. Its variance comes
from heads on halves of train and val (`statistics/training_variance.py`), which are the same for all backbones, so that
it is known for differences too. The setting of a head is not searched again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vitrail.evaluation.deciding_metric import TOP1, DecidingMetric
from vitrail.evaluation.pairs import Pair
from vitrail.evaluation.sentences import say_names, say_rate
from vitrail.statistics.intervals import Interval, normal_quantile
from vitrail.statistics.training_variance import HalvesScored, TrainingVariance, training_variance

TOLD = 1.0  # standard errors of its own from which on a variance is stated; five folds never give more than 1.6
METHOD = "widened by the variance between trainings"


@dataclass(frozen=True, kw_only=True, slots=True)
class Retraining:
    """How far the deciding metric moves with as many other training images.

    `deviation` and `most` are fractions; the deviation is at most `most` with 95% confidence: few images do not give a
    better estimate. `accuracy` is the interval of the expected value of the metric over draws of training images
    and test images.
    """

    deviation: float
    most: float
    accuracy: Interval
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


def judge_retraining(rate: Interval, halves: HalvesScored, metric: DecidingMetric = TOP1) -> Retraining:
    """The accuracy of one backbone over draws of training images; `rate` is its accuracy on the test images."""
    first_N, second_N = _credit(halves.first_N, halves, metric), _credit(halves.second_N, halves, metric)
    found = training_variance(first_N, second_N, halves.fold_N, halves.group_N).scaled(halves.share)
    deviation, z = math.sqrt(found.variance), normal_quantile(rate.level)
    freedom = max(1.0, found.freedom(((rate.high - rate.low) / (2 * z)) ** 2))
    longer = float(stats.t.ppf((1 + rate.level) / 2, freedom)) / z
    # Both errors are independent, so that the squares of their widths add up.
    low = max(0.0, rate.value - longer * math.hypot(rate.value - rate.low, z * deviation))
    high = min(1.0, rate.value + longer * math.hypot(rate.high - rate.value, z * deviation))
    wide = replace(rate, low=low, high=high, method=f"{rate.method}, {METHOD}")
    most = math.sqrt(found.variance + float(stats.norm.ppf(0.95)) * found.error)
    sentence = _say_retraining(found, most, wide, metric)
    return Retraining(deviation=deviation, most=most, accuracy=wide, sentence=sentence)


def judge_retrained_pairs(
    pairs: Sequence[Pair],
    halves: Mapping[str, HalvesScored],
    *,
    metric: DecidingMetric = TOP1,
    level: float,
) -> tuple[RetrainedPair, ...]:
    """The pairs of backbones with halves, over draws of training images; adjusted p values are times their number."""
    known = [pair for pair in pairs if pair.a in halves and pair.b in halves]
    variances = [_pair_variance(halves[pair.a], halves[pair.b], metric) for pair in known]
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
    """The caveat of a decision that depends on leads of `best` which another training could reverse; else empty."""
    others = [pair.b if pair.a == best else pair.a for pair in pairs if pair.could_turn and best in (pair.a, pair.b)]
    if not others:
        return ()
    return (
        f"Trained on as many other images, {best} and {say_names(others)} could change places: these heads differ, but "
        "other training images could change their accuracy by as much.",
    )


def _credit(right_N: NDArray[np.bool_], halves: HalvesScored, metric: DecidingMetric) -> NDArray[np.float64]:
    """What each scored image adds to the metric; the weights are those of all scored images together."""
    return np.asarray(right_N * replace(metric, label_N=halves.label_N).weigh(len(right_N)))


def _pair_variance(a: HalvesScored, b: HalvesScored, metric: DecidingMetric) -> TrainingVariance:
    """The variance of the difference in accuracy; the training images are the same, so part of the luck is shared."""
    first_N = _credit(a.first_N, a, metric) - _credit(b.first_N, b, metric)
    second_N = _credit(a.second_N, a, metric) - _credit(b.second_N, b, metric)
    return training_variance(first_N, second_N, a.fold_N, a.group_N).scaled(a.share)


def _p_over_trainings(pair: Pair, training: TrainingVariance) -> float:
    """The p value of no difference on average over trainings and test images; never below that of these heads.

    Student's t, since the variance between trainings is an estimate from a few folds.
    """
    n, lead = pair.difference.n, pair.difference.value
    drawn = pair.design_effect * max(0.0, pair.discordance - lead**2) / n
    error = math.sqrt(drawn + training.variance)
    t = abs(lead) / error if error else math.inf  # one is right on all images, the other on none
    return max(pair.mcnemar_p, float(2 * stats.t.sf(t, max(1.0, training.freedom(drawn)))))


def _say_retraining(found: TrainingVariance, most: float, wide: Interval, metric: DecidingMetric) -> str:
    """The deviation if the images are enough to estimate it, else how large it may be."""
    told = found.variance >= TOLD * found.error
    size = f"about ± {100 * math.sqrt(found.variance):.1f} points" if told else f"± {100 * most:.1f} points at most"
    return (
        f"With as many other training images, the {metric.word} would vary by {size} (one standard deviation); the "
        f"average over such trainings is {say_rate(wide)}."
    )
