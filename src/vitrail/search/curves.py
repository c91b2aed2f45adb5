"""Accuracy against images a class, and what more labels would be worth; scored on val, never on test.

The winning setting is trained on an eighth, a quarter, a half and all of the images of some classes, the others
keeping all of theirs, and scored on val: once for all classes together, once for those that the head finds hardest. Of
groups whole ones are taken first. All sizes are scored on the same images, so that the error of a difference is far
less than that of an accuracy; the intervals come from drawing these images (their groups, where there are any) and the
draws of the training images anew, the same for all sizes. Images of one group tell nothing of the next: then there are
neither intervals nor a forecast.

The fit is the power law with an end, error = a + b n^-c, that learning curves of most learners follow (Viering & Loog
2022, arXiv:2103.10948). It is asked for one doubling at most, and for nothing where it misses the points.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vitrail.heads import Fit
from vitrail.search.examples import Examples, Holdout
from vitrail.search.power_law import fit_power_law, power_law

# Letters: N examples, S scored examples, C classes, P points of a curve, V draws of training images, R resamples.

FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 1.0)
DRAWS = 3
RESAMPLES = 1000
HARDEST = 1 / 4  # of the classes
FEWEST_CLASSES = 8  # with fewer there is no talking of a part of them
MISSES = 3.0  # standard errors between a point and the fit that say that it is no power law
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelPoint:
    """Accuracy on val with so many images for each of the curve's classes, on average; mean over draws.

    `low` and `high` are None where what is scored is all of one group.
    """

    images_per_class: float
    accuracy: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelForecast:
    """What `labels` more images, spread evenly over the curve's classes, are worth: a fraction of all val images."""

    labels: int
    gain: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelCurve:
    """How val accuracy over all classes grows with the images of some of them.

    `classes` are those that grow, by name; all the others keep all their images. `forecast` is for twice the images,
    and None where the power law misses the points or what is scored is all of one group.
    """

    classes: tuple[str, ...]
    points: tuple[LabelPoint, ...]
    forecast: LabelForecast | None
    sentence: str


Train = Callable[[NDArray[np.int64]], Fit]


def label_curve(
    examples: Examples, train: Train, *, classes: Sequence[str], growing: Sequence[int] | None, seed: int
) -> LabelCurve | None:
    """One curve.

    Args:
        examples: what is fitted on and scored.
        train: fits the winning setting on some rows.
        classes: the names of all.
        growing: the classes whose images are counted, None for all.
        seed: of the draws.

    Returns:
        The curve; None where an eighth of the images would be less than one a class.
    """
    grown = np.ones(len(classes), bool) if growing is None else np.isin(np.arange(len(classes)), growing)
    per_class = _per_class(examples, grown)
    if per_class * FRACTIONS[0] < 1:
        return None
    right_PVS = _right(examples, train, grown, seed)
    images_P = per_class * np.array(FRACTIONS)
    mean_P = right_PVS.mean(axis=(1, 2))
    group_S, count = _scored_groups(examples), int(grown.sum())
    which = f"all {count} classes" if growing is None else f"the {count} hardest classes"
    if group_S.max() > 0:
        accuracy_RP = _resampled(right_PVS, group_S, seed)
        limits_P2 = np.quantile(accuracy_RP, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0).T.tolist()
        forecast = _forecast(images_P, mean_P, accuracy_RP, labels=round(per_class * count))
        sentence = _sentence(forecast, per_class, which)
    else:
        limits_P2, forecast = [(None, None)] * len(FRACTIONS), None
        sentence = (
            f"All images that {which} are scored on are of one group: what more labels would be worth for another "
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


def hardest_classes(examples: Examples, oof_probability_NC: NDArray[np.float64]) -> list[int]:
    """The quarter of the classes that are recognised worst out of fold; empty where there are few classes.

    Judged on the rows that are fitted on and not scored, so that a class is not chosen for its bad luck on val: what
    follows would then look like a gain. Without a val that cannot be had, and all rows are used.

    Args:
        examples: train and val.
        oof_probability_NC: out-of-fold probabilities of the winner.

    Returns:
        Classes with at least one such row.
    """
    if examples.classes < FEWEST_CLASSES:
        return []
    rows = examples.holdouts[0].fit if len(examples.holdouts) == 1 else np.arange(len(examples.ids))
    label_N, right_N = examples.label_N[rows], oof_probability_NC[rows].argmax(axis=1) == examples.label_N[rows]
    count_C = np.bincount(label_N, minlength=examples.classes)
    rate_C = np.bincount(label_N, right_N, minlength=examples.classes) / np.maximum(count_C, 1)
    order = [int(c) for c in np.argsort(rate_C, kind="stable") if count_C[c]]
    return sorted(order[: round(examples.classes * HARDEST)])


def _per_class(examples: Examples, grown: NDArray[np.bool_]) -> float:
    """Images to fit on for each class that grows, on average over them and the choices."""
    counts = [int(grown[examples.label_N[holdout.fit]].sum()) for holdout in examples.holdouts]
    return float(np.mean(counts)) / int(grown.sum())


def _right(examples: Examples, train: Train, grown: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """Whether each scored example is right, P x V x S; with all images nothing is drawn and all V are the same."""
    from vitrail.heads.threads import side_by_side

    fewer_images = [fraction for fraction in FRACTIONS if fraction < 1]
    drawn = [
        [
            fewer(examples, holdout, grown, fraction, np.random.default_rng([seed, draw]))
            for holdout in examples.holdouts
        ]
        for fraction in fewer_images
        for draw in range(DRAWS)
    ]
    everything = [holdout.fit for holdout in examples.holdouts]
    *some, whole_S = side_by_side(partial(_right_once, examples, train), [*drawn, everything])
    some_PVS = np.stack(some).reshape(len(fewer_images), DRAWS, -1)
    return np.concatenate([some_PVS, np.broadcast_to(whole_S, (1, *some_PVS.shape[1:]))])


def _right_once(examples: Examples, train: Train, rows: Sequence[NDArray[np.int64]]) -> NDArray[np.bool_]:
    parts = []
    for fit_rows, holdout in zip(rows, examples.holdouts, strict=True):
        logit_SC = train(fit_rows).logits(examples.feature_ND[holdout.score])
        parts.append(logit_SC.argmax(axis=1) == examples.label_N[holdout.score])
    return np.concatenate(parts)


def fewer(
    examples: Examples, holdout: Holdout, grown: NDArray[np.bool_], fraction: float, draws: np.random.Generator
) -> NDArray[np.int64]:
    """Rows to fit on with a fraction of the images of each growing class, group after group, and all of the others.

    Args:
        examples: labels and groups.
        part: where to draw from.
        grown: which classes are made smaller.
        fraction: of their images; at least one is left.
        draws: where chance comes from; the same stream gives a lesser part of what it gives for a greater fraction.

    Returns:
        Row numbers, sorted.
    """
    place_G = draws.permutation(int(examples.group_N.max()) + 1)
    rows = holdout.fit[np.argsort(place_G[examples.group_N[holdout.fit]], kind="stable")]
    rows = rows[np.argsort(examples.label_N[rows], kind="stable")]
    label_N = examples.label_N[rows]
    place_N = np.arange(len(rows)) - np.searchsorted(label_N, label_N)
    count_C = np.bincount(label_N, minlength=len(grown))
    left_C = np.where(grown, np.maximum(1, np.round(fraction * count_C)), count_C)
    return np.sort(rows[place_N < left_C[label_N]])


def _scored_groups(examples: Examples) -> NDArray[np.int64]:
    groups = np.concatenate([examples.group_N[holdout.score] for holdout in examples.holdouts])
    return np.unique(groups, return_inverse=True)[1].reshape(-1)


def _resampled(right_PVS: NDArray[np.bool_], group_S: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """The accuracy of every point under other val images and other draws, R x P: the same for all points."""
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
    """What doubling is worth, from the same power law fitted to every resample."""
    law_13 = fit_power_law(images_P, 1 - mean_P[None])
    # Differences to the last point: what all points share, the luck of the val images, is not the law's to explain.
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


def _sentence(forecast: LabelForecast | None, per_class: float, which: str) -> str:
    if forecast is None:
        return f"In {which} the curve is too uneven to say what more labels would be worth."
    labels = f"{forecast.labels:,} more labels in {which} ({per_class:.3g} more a class)"
    gain, low, high = (100 * value for value in (forecast.gain, forecast.low, forecast.high))
    if low < 0.05:
        return f"{labels} cannot be shown to be worth anything: between {low:.1f} and {high:.1f} points on val."
    return f"{labels} are worth about {gain:+.1f} points on val, between {low:.1f} and {high:.1f}."
