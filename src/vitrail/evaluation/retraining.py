"""What training on other images of the same number could change: each accuracy, and which of two backbones leads.

The intervals of a verdict are of these very heads, over draws of test images. A person who trains again, or who asks
whether a backbone is better rather than a head of it, needs the draw of the training images as well. Its variance comes
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

TOLD = 1.0  # errors of its own that a variance must be to be stated; five folds never give more than 1.6
METHOD = "widened by the variance between trainings"


@dataclass(frozen=True, kw_only=True, slots=True)
class Retraining:
    """How far the metric that decides moves with other training images of the same number.

    `deviation` and `most` are fractions; the deviation is no more than `most` with 95% confidence: from few images it
    can be told no better. `accuracy` is the interval of the expected value of the metric over draws of training images
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
    """The accuracy of one backbone over draws of training images; `rate` is that on the test images."""
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
    """The pairs of backbones with halves, over draws of training images; p values are times their number."""
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
    """The caveat of a decision that leans on leads of `best` that another training could turn; empty without any."""
    others = [pair.b if pair.a == best else pair.a for pair in pairs if pair.could_turn and best in (pair.a, pair.b)]
    if not others:
        return ()
    return (
        f"Trained on other images of the same number, the order of {best} and {say_names(others)} could turn round: "
        "these heads differ, but the difference is not clear of what another draw of training images would change.",
    )


def _credit(right_N: NDArray[np.bool_], halves: HalvesScored, metric: DecidingMetric) -> NDArray[np.float64]:
    """What each scored image adds to the metric; weights are those of all scored images together."""
    return np.asarray(right_N * replace(metric, label_N=halves.label_N).weigh(len(right_N)))


def _pair_variance(a: HalvesScored, b: HalvesScored, metric: DecidingMetric) -> TrainingVariance:
    """Of the difference in accuracy; both heads learn from the same images, so that part of their luck is shared."""
    first_N = _credit(a.first_N, a, metric) - _credit(b.first_N, b, metric)
    second_N = _credit(a.second_N, a, metric) - _credit(b.second_N, b, metric)
    return training_variance(first_N, second_N, a.fold_N, a.group_N).scaled(a.share)


def _p_over_trainings(pair: Pair, training: TrainingVariance) -> float:
    """The p value of no difference on average over trainings and test images; never less than that of these heads.

    Student's t, since the variance between trainings is an estimate from a few folds.
    """
    n, lead = pair.difference.n, pair.difference.value
    drawn = pair.design_effect * max(0.0, pair.discordance - lead**2) / n
    error = math.sqrt(drawn + training.variance)
    t = abs(lead) / error if error else math.inf  # one is right on all images, the other on none
    return max(pair.mcnemar_p, float(2 * stats.t.sf(t, max(1.0, training.freedom(drawn)))))


def _say_retraining(found: TrainingVariance, most: float, wide: Interval, metric: DecidingMetric) -> str:
    """Its deviation where the images tell it, else how large it may be."""
    told = found.variance >= TOLD * found.error
    size = f"about ± {100 * math.sqrt(found.variance):.1f} points" if told else f"± {100 * most:.1f} points at most"
    return (
        f"With other training images of the same number, the {metric.word} would move by {size} (one standard "
        f"deviation); the average over trainings is at {say_rate(wide)}."
    )
