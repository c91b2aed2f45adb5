"""Accuracy against images per class, and what more labels would be worth; scored on val, never on test.

The winning setting is trained on an eighth, a quarter, a half and all of the images of some classes, together with all
images of the other classes, and scored on val: once for all classes together, once for those that the head finds
hardest. Whole groups are taken first. All sizes are scored on the same images, so that the error of a difference is far
less than that of an accuracy. The intervals come from resampling these images (whole groups, if there are any) and the
draws of the training images, the same for all sizes. A single group says nothing of other groups: then there are
neither intervals nor a forecast.

The fit is the power law that the learning curves of most learners follow, error = a + b n^-c (Viering & Loog 2022,
arXiv:2103.10948). It forecasts one doubling at most, and nothing if it misses the points.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vitrail.heads import Fit
from vitrail.search.examples import Examples, Holdout

# Letters: N examples, S scored examples, C classes, P points of a curve, V draws of training images, R resamples or
# curves, E exponents of the grid, Q numbers of images.

FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 1.0)
DRAWS = 3
RESAMPLES = 1000
HARDEST = 1 / 4  # of the classes
FEWEST_CLASSES = 8  # with fewer there is no curve of the hardest
MISSES = 3.0  # standard errors between a point and the fit: beyond, the curve does not follow the power law
LEVEL = 0.95
EXPONENTS = np.linspace(0.1, 1.5, 29)


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelPoint:
    """Accuracy on val for a number of images per class of the curve (an average), as the mean over draws.

    `low` and `high` are None if all scored images are of one group.
    """

    images_per_class: float
    accuracy: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelForecast:
    """The gain of `labels` more images, spread evenly over the curve's classes: a fraction of all val images."""

    labels: int
    gain: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelCurve:
    """How val accuracy over all classes grows with the images of some of them.

    `classes` are the names of those classes; the others have all their images. `forecast` is for twice the images, and
    None if the power law misses the points or all scored images are of one group.
    """

    classes: tuple[str, ...]
    points: tuple[LabelPoint, ...]
    forecast: LabelForecast | None
    sentence: str


Train = Callable[[NDArray[np.int64]], Fit]


def fit_label_curve(
    examples: Examples, train: Train, *, classes: Sequence[str], growing: Sequence[int] | None, seed: int
) -> LabelCurve | None:
    """The curve of the `growing` classes (None for all); None if an eighth of the images is less than one per class.

    `train` fits the winning setting on some rows.
    """
    grown = np.ones(len(classes), bool) if growing is None else np.isin(np.arange(len(classes)), growing)
    per_class = _images_per_class(examples, grown)
    if per_class * FRACTIONS[0] < 1:
        return None
    right_PVS = _score_points(examples, train, grown, seed)
    images_P = per_class * np.array(FRACTIONS)
    mean_P = right_PVS.mean(axis=(1, 2))
    group_S, count = _scored_groups(examples), int(grown.sum())
    scope = f"all {count} classes" if growing is None else f"the {count} hardest classes"
    if group_S.max() > 0:
        accuracy_RP = _resample(right_PVS, group_S, seed)
        limits_P2 = np.quantile(accuracy_RP, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0).T.tolist()
        forecast = _forecast(images_P, mean_P, accuracy_RP, labels=round(per_class * count))
        sentence = _sentence(forecast, per_class, scope)
    else:
        limits_P2, forecast = [(None, None)] * len(FRACTIONS), None
        sentence = (
            f"All images that {scope} are scored on are of one group: what more labels would be worth for another "
            "cannot be told."
        )
    return LabelCurve(
        classes=tuple(name for name, grows in zip(classes, grown, strict=True) if grows),
        points=tuple(
            LabelPoint(images_per_class=float(n), accuracy=float(mean), low=low, high=high)
            for n, mean, (low, high) in zip(images_P, mean_P, limits_P2, strict=True)
        ),
        forecast=forecast,
        sentence=sentence,
    )


def find_hardest_classes(examples: Examples, oof_probability_NC: NDArray[np.float64]) -> list[int]:
    """The quarter of the classes with the least out-of-fold accuracy of the winner; empty with few classes.

    Judged on the rows of train and not on the scored ones, so that a class is not chosen for its bad luck on val: its
    return to the mean would look like a gain. Without a val there are no other rows, and all are used.
    """
    if examples.classes < FEWEST_CLASSES:
        return []
    rows = examples.holdouts[0].fit if len(examples.holdouts) == 1 else np.arange(len(examples.ids))
    label_N, right_N = examples.label_N[rows], oof_probability_NC[rows].argmax(axis=1) == examples.label_N[rows]
    count_C = np.bincount(label_N, minlength=examples.classes)
    rate_C = np.bincount(label_N, right_N, minlength=examples.classes) / np.maximum(count_C, 1)
    order = [int(c) for c in np.argsort(rate_C, kind="stable") if count_C[c]]
    return sorted(order[: round(examples.classes * HARDEST)])


def _images_per_class(examples: Examples, grown: NDArray[np.bool_]) -> float:
    """Training images for each growing class, on average over these classes and the holdouts."""
    counts = [int(grown[examples.label_N[holdout.fit]].sum()) for holdout in examples.holdouts]
    return float(np.mean(counts)) / int(grown.sum())


def _score_points(examples: Examples, train: Train, grown: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """Whether each scored example is right, P x V x S; with all images there is no draw, and all V are the same."""
    from vitrail.heads.threads import side_by_side

    fractions = [fraction for fraction in FRACTIONS if fraction < 1]
    drawn = [
        [
            draw_fewer(examples, holdout, grown, fraction, np.random.default_rng([seed, draw]))
            for holdout in examples.holdouts
        ]
        for fraction in fractions
        for draw in range(DRAWS)
    ]
    all_rows = [holdout.fit for holdout in examples.holdouts]
    *some, whole_S = side_by_side(partial(_score_once, examples, train), [*drawn, all_rows])
    some_PVS = np.stack(some).reshape(len(fractions), DRAWS, -1)
    return np.concatenate([some_PVS, np.broadcast_to(whole_S, (1, *some_PVS.shape[1:]))])


def _score_once(examples: Examples, train: Train, rows: Sequence[NDArray[np.int64]]) -> NDArray[np.bool_]:
    right = []
    for fit_rows, holdout in zip(rows, examples.holdouts, strict=True):
        logit_SC = examples.score(train(fit_rows), holdout.score)
        right.append(logit_SC.argmax(axis=1) == examples.label_N[holdout.score])
    return np.concatenate(right)


def draw_fewer(
    examples: Examples, holdout: Holdout, grown: NDArray[np.bool_], fraction: float, draws: np.random.Generator
) -> NDArray[np.int64]:
    """Rows to fit on: a fraction of the images of each growing class, group after group, and all of the others; sorted.

    At least one image of a class is left. The same stream draws a subset for a smaller fraction.
    """
    rank_G = draws.permutation(int(examples.group_N.max()) + 1)
    rows = holdout.fit[np.argsort(rank_G[examples.group_N[holdout.fit]], kind="stable")]
    rows = rows[np.argsort(examples.label_N[rows], kind="stable")]
    label_N = examples.label_N[rows]
    rank_N = np.arange(len(rows)) - np.searchsorted(label_N, label_N)
    count_C = np.bincount(label_N, minlength=len(grown))
    left_C = np.where(grown, np.maximum(1, np.round(fraction * count_C)), count_C)
    return np.sort(rows[rank_N < left_C[label_N]])


def _scored_groups(examples: Examples) -> NDArray[np.int64]:
    groups = np.concatenate([examples.group_N[holdout.score] for holdout in examples.holdouts])
    return np.unique(groups, return_inverse=True)[1].reshape(-1)


def _resample(right_PVS: NDArray[np.bool_], group_S: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """The accuracy of every point for resampled val images and draws, R x P; a resample is the same for all points."""
    P, V, _ = right_PVS.shape
    draws = np.random.default_rng([seed, P])
    size_G = np.bincount(group_S)
    groups = len(size_G)
    first_G = np.cumsum(size_G) - size_G
    by_group_PVS = right_PVS[..., np.argsort(group_S, kind="stable")].astype(np.float64)
    right_PVG = np.add.reduceat(by_group_PVS, first_G, axis=2)
    accuracy_RP = np.empty((RESAMPLES, P))
    for resample in range(RESAMPLES):
        times_G = np.bincount(draws.integers(0, groups, groups), minlength=groups)
        times_V = np.bincount(draws.integers(0, V, V), minlength=V) / V
        accuracy_RP[resample] = (times_V @ (right_PVG @ times_G)[..., None])[:, 0] / (times_G @ size_G)
    return accuracy_RP


def _forecast(
    images_P: NDArray[np.float64], mean_P: NDArray[np.float64], accuracy_RP: NDArray[np.float64], *, labels: int
) -> LabelForecast | None:
    """The gain of twice the images, with the power law fitted to every resample; None if it misses the points."""
    law_13 = fit_power_law(images_P, 1 - mean_P[None])
    # Differences to the last point: the luck of the val images, which all points share, says nothing about the law.
    error_P = (accuracy_RP - accuracy_RP[:, -1:]).std(axis=0, ddof=1)
    law_P = power_law(law_13, images_P, unit=images_P[-1])[0]
    missed_P = (law_P - law_P[-1]) + (mean_P - mean_P[-1])
    if (np.abs(missed_P) > MISSES * np.maximum(error_P, 1e-9)).any():
        return None
    ends = images_P[-1] * np.array([1.0, 2.0])
    at_R2 = power_law(fit_power_law(images_P, 1 - accuracy_RP), ends, unit=images_P[-1])
    gain_R = at_R2[:, 0] - at_R2[:, 1]
    low, high = np.quantile(gain_R, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    at_2 = power_law(law_13, ends, unit=images_P[-1])[0]
    return LabelForecast(labels=labels, gain=float(at_2[0] - at_2[1]), low=float(low), high=float(high))


def fit_power_law(images_P: NDArray[np.float64], error_RP: NDArray[np.float64]) -> NDArray[np.float64]:
    """The a, b and c of each curve, R x 3, by least squares; a and b at least 0.

    For each exponent of a grid the best a and b have a closed form. b is for images in units of the greatest number.
    """
    x_EP = (images_P / images_P[-1])[None] ** -EXPONENTS[:, None]
    centred_EP = x_EP - x_EP.mean(axis=1, keepdims=True)
    mean_R = error_RP.mean(axis=1)
    b_RE = error_RP @ centred_EP.T / (centred_EP**2).sum(axis=1)
    a_RE = mean_R[:, None] - b_RE * x_EP.mean(axis=1)
    # If the best lies outside, the best inside is on the border: a = 0, or b = 0.
    through_RE = error_RP @ x_EP.T / (x_EP**2).sum(axis=1)
    b_RE = np.where(a_RE < 0, through_RE, b_RE)
    a_RE = np.where(a_RE < 0, 0.0, a_RE)
    a_RE, b_RE = np.where(b_RE < 0, mean_R[:, None], a_RE), np.maximum(b_RE, 0.0)
    missed_REP = a_RE[..., None] + b_RE[..., None] * x_EP - error_RP[:, None]
    best_R = (missed_REP**2).sum(axis=2).argmin(axis=1)
    R = np.arange(len(error_RP))
    return np.column_stack([a_RE[R, best_R], b_RE[R, best_R], EXPONENTS[best_R]])


def power_law(law_R3: NDArray[np.float64], images_Q: NDArray[np.float64], *, unit: float) -> NDArray[np.float64]:
    """The error of each curve for these numbers of images, R x Q; `unit` is the greatest number of the fit."""
    a_R1, b_R1, c_R1 = law_R3.T[..., None]
    result: NDArray[np.float64] = a_R1 + b_R1 * (images_Q / unit)[None] ** -c_R1
    return result


def _sentence(forecast: LabelForecast | None, per_class: float, scope: str) -> str:
    if forecast is None:
        return f"In {scope} the curve is too uneven to say what more labels would be worth."
    labels = f"{forecast.labels:,} more labels in {scope} ({per_class:.3g} more a class)"
    gain, low, high = (100 * value for value in (forecast.gain, forecast.low, forecast.high))
    if low < 0.05:
        return f"{labels} cannot be shown to be worth anything: between {low:.1f} and {high:.1f} points on val."
    return f"{labels} are worth about {gain:+.1f} points on val, between {low:.1f} and {high:.1f}."
