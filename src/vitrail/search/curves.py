"""Accuracy against images per class, and the value of more labels for the winning head; never on test.

The winning setting is fitted on an eighth, a quarter, a half and all images of some classes in the other folds,
together with all images of the other classes, and scored on the fold: once for all classes together, once for those
that the head finds hardest. All parts are scored on the same images, so that the error of a difference is far less than
that of an accuracy. The intervals allow for the draw of the scored images (of whole groups, if there are any) and of
the training images. A single group says nothing about other groups: then there are neither intervals nor a forecast.

The forecast starts at the number of images that the winning head was refitted on and ends at twice as many, which is
two and a half times the largest point. It is an average over heads like this one: no curve shows how lucky this head
was with its own images (benchmarks/backtest.py). See `statistics/power_law.py` for the law and its interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.search.subsets import ALL, HARDEST_PREFIX, OTHER_HALF, PARTS, SubsetScores, count_left
from vitrail.statistics.intervals import LEVEL, normal_quantile
from vitrail.statistics.power_law import Gain, forecast_gain
from vitrail.statistics.training_variance import covariance_of_means, covariance_of_training, training_variance

# Letters: N examples, C classes, P points of a curve.

FORECAST_LEVEL = 0.9
MISSES = 9.0  # squared errors between the points and the nearest law: beyond, the curve does not follow one


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelPoint:
    """Accuracy over the folds for a number of images per class of the curve (an average).

    `low` and `high` are the limits of a 95% interval, and None if all examples are of one group. In the curve of the
    hardest classes they take the training images of the other classes as given.
    """

    images_per_class: float
    accuracy: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelForecast:
    """The gain of `labels` more images, spread evenly over the curve's classes: a fraction of images of all classes.

    `images_per_class` are those of the curve's classes that the kept head was fitted on. `low` and `high` are the
    limits of an interval of `level`.
    """

    labels: int
    images_per_class: float
    gain: float
    low: float
    high: float
    level: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelCurve:
    """How accuracy over all classes grows with the images of some of them.

    `classes` are the names of those classes; the others have all their images. `forecast` is for twice the images of
    the kept head, and None if the power law misses the points or all examples are of one group.
    """

    classes: tuple[str, ...]
    points: tuple[LabelPoint, ...]
    forecast: LabelForecast | None
    sentence: str


def make_label_curves(
    scores: SubsetScores, classes: Sequence[str], kept_N: NDArray[np.bool_]
) -> tuple[LabelCurve, ...]:
    """The curve of all classes and that of the hardest, as far as there were images enough.

    `kept_N` says which examples the kept head was fitted on.
    """
    every = range(len(classes))
    scopes = [("", every), (HARDEST_PREFIX, scores.hardest)]
    return tuple(
        _make_label_curve(scores, classes, np.isin(every, growing), prefix, kept_N)
        for prefix, growing in scopes
        if all(prefix + name in scores.predicted for name in PARTS)
    )


def _make_label_curve(
    scores: SubsetScores,
    classes: Sequence[str],
    grown_C: NDArray[np.bool_],
    prefix: str,
    kept_N: NDArray[np.bool_],
) -> LabelCurve:
    count = int(grown_C.sum())
    images_P = _images_of_points(scores, grown_C)
    right_PN = np.stack([scores.right(name) for name in (*(prefix + part for part in PARTS), ALL)]).astype(np.float64)
    accuracy_P = right_PN.mean(axis=1)
    kept = float(grown_C[scores.label_N[kept_N]].sum()) / count
    scope = f"all {count} classes" if count == len(classes) else f"the {count} hardest classes"
    limits: list[tuple[float | None, float | None]] = [(None, None)] * len(images_P)
    forecast = None
    if len(np.unique(scores.group_N)) > 1:
        covariance_PP = _covariance(scores, right_PN, images_P, prefix, pool=grown_C[scores.label_N].sum() / count)
        error_P = normal_quantile(LEVEL) * np.sqrt(np.diag(covariance_PP))
        low_P, high_P = np.maximum(0.0, accuracy_P - error_P), np.minimum(1.0, accuracy_P + error_P)
        limits = list(zip(low_P.tolist(), high_P.tolist(), strict=True))
        gain = forecast_gain(images_P, 1 - accuracy_P, covariance_PP, start=kept, level=FORECAST_LEVEL)
        forecast = _forecast(gain, kept, round(kept * count)) if gain.missed <= MISSES else None
        sentence = _say_forecast(forecast, scope)
    else:
        sentence = (
            f"For {scope}, all scored images belong to one group, so Vitrail cannot tell what more labels would be "
            "worth for other groups."
        )
    return LabelCurve(
        classes=tuple(name for name, grows in zip(classes, grown_C, strict=True) if grows),
        points=tuple(
            LabelPoint(images_per_class=float(n), accuracy=float(accuracy), low=low, high=high)
            for n, accuracy, (low, high) in zip(images_P, accuracy_P, limits, strict=True)
        ),
        forecast=forecast,
        sentence=sentence,
    )


def _images_of_points(scores: SubsetScores, grown_C: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Training images per growing class at each point, averaged over these classes and the folds."""
    images_P = np.zeros(len(PARTS) + 1)
    for fold in np.unique(scores.fold_N):
        count_C = np.bincount(scores.label_N[scores.fold_N != fold], minlength=len(grown_C))
        left = [count_left(count_C, grown_C, part)[grown_C].sum() for part in (*PARTS.values(), 1.0)]
        images_P += np.array(left)
    return np.asarray(images_P / (scores.folds * grown_C.sum()))


def _covariance(
    scores: SubsetScores, right_PN: NDArray[np.float64], images_P: NDArray[np.float64], prefix: str, *, pool: float
) -> NDArray[np.float64]:
    """The covariance of the accuracies, from the draw of the scored images and the draw of the training images."""
    first_N, second_N = scores.right(f"{prefix}half"), scores.right(prefix + OTHER_HALF)
    half = training_variance(
        first_N.astype(np.float64), second_N.astype(np.float64), scores.fold_N, scores.group_N
    ).variance
    variance_P = half * images_P[list(PARTS).index("half")] / images_P
    # Per point one pseudo-example that it is the first to get right, and one that no point gets right: few observed
    # errors do not mean a low error rate.
    P = len(images_P)
    right_PN = np.concatenate([right_PN, np.tri(P, P, -1)], axis=1)
    group_N = np.concatenate([scores.group_N, scores.group_N.max() + 1 + np.arange(P)])
    drawn_PP = covariance_of_means(right_PN, group_N)
    return drawn_PP + covariance_of_training(variance_P, images_P, folds=scores.folds, pool=pool)


def _forecast(gain: Gain, kept: float, labels: int) -> LabelForecast:
    return LabelForecast(
        labels=labels,
        images_per_class=kept,
        gain=gain.value,
        low=gain.low,
        high=gain.high,
        level=FORECAST_LEVEL,
    )


def _say_forecast(forecast: LabelForecast | None, scope: str) -> str:
    if forecast is None:
        return f"For {scope}, the learning curve is too uneven to say what more labels would be worth."
    labels = f"{forecast.labels:,} more labels in {scope} ({forecast.images_per_class:.3g} more per class)"
    gain, low, high = (100 * value for value in (forecast.gain, forecast.low, forecast.high))
    where = "on average for heads like this one, on train and val images"
    interval = f"(a {100 * forecast.level:.0f}% interval)"
    if low < 0.05:
        limits = f"between {low:.1f} and {high:.1f} points"
        return f"It cannot be shown that {labels} would help {where}: {limits} {interval}."
    return f"{labels} are worth about {gain:+.1f} points {where}: between {low:.1f} and {high:.1f} {interval}."
