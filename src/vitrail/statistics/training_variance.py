"""How far a figure moves when a head is fitted on other images of the same number, from heads on halves of one pool.

All training sets that one pool of images gives share most of their images, so figures on several splits differ far less
than figures on several pools would (Nadeau and Bengio 2003, Machine Learning 52:239-281). Two halves share no image:
the heads that are fitted on them and scored on the same other images differ as heads of two pools do, of half the size.
Their squared difference, minus the part from drawing the scored images, is twice the variance between trainings. The
variance of a larger training set is less, by the ratio of the sizes: so does that of every average over training images
fall.

Letters: N scored images, F folds, G groups, P numbers of training images.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class HalvesScored:
    """Whether heads fitted on two halves of the other folds are right on each image; `label_N` is its class.

    `share` is the number of images of a half divided by those of the head that is judged; `group_N` has a number of its
    own for an image that is in no group.
    """

    first_N: NDArray[np.bool_] = field(repr=False)
    second_N: NDArray[np.bool_] = field(repr=False)
    label_N: Ints = field(repr=False)
    fold_N: Ints = field(repr=False)
    group_N: Ints = field(repr=False)
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingVariance:
    """The variance of a mean figure between training sets, and the standard error of this estimate.

    The error is that of averages of squared normal variables: the squares of a few folds do not tell their own spread.
    """

    variance: float
    error: float

    def freedom(self, other: float) -> float:
        """The degrees of freedom of this variance plus another that is known (Satterthwaite 1946, Biometrics 2:110)."""
        return 2 * (self.variance + other) ** 2 / self.error**2 if self.error > 0 else math.inf

    def scaled(self, share: float) -> "TrainingVariance":
        """The variance for a training set that is 1 / share times as large."""
        return TrainingVariance(variance=self.variance * share, error=self.error * share)


def training_variance(first_N: Floats, second_N: Floats, fold_N: Ints, group_N: Ints) -> TrainingVariance:
    """The variance of the mean figure of a head between training sets as large as a half.

    Args:
        first_N: the figure of each scored image under the head of the first half: 1 if right, or a difference.
        second_N: the same under the head of the second half.
        fold_N: the fold of each image; every fold has its own two heads.
        group_N: the group of each image.
    """
    square_F, noise_F = [], []
    for fold in np.unique(fold_N):
        rows = fold_N == fold
        lead = first_N[rows] - second_N[rows]
        square_F.append(lead.mean() ** 2)
        noise_F.append(covariance_of_means(lead[None], group_N[rows])[0, 0])
    noise = float(np.mean(noise_F))
    variance = max(0.0, (float(np.mean(square_F)) - noise) / 2)
    return TrainingVariance(variance=variance, error=math.sqrt(2 / len(square_F)) * (variance + noise / 2))


def covariance_of_means(figure_PN: Floats, group_N: Ints) -> Floats:
    """The covariance (P x P) of means over the same images, from the sums of whole groups; 0 with a single group."""
    centred_PN = figure_PN - figure_PN.mean(axis=1, keepdims=True)
    number_N = np.unique(group_N, return_inverse=True)[1].reshape(-1)
    groups = int(number_N.max()) + 1
    if groups < 2:
        return np.zeros((len(figure_PN), len(figure_PN)))
    sum_PG = np.stack([np.bincount(number_N, weights=centred_N, minlength=groups) for centred_N in centred_PN])
    result: Floats = sum_PG @ sum_PG.T / figure_PN.shape[1] ** 2 * groups / (groups - 1)
    return result


def covariance_of_training(variance_P: Floats, images_P: Floats, *, folds: int, pool: float) -> Floats:
    """The covariance (P x P) that the draw of the pool gives to means over folds, each size within the next.

    Two means vary together as far as their training sets share images: within a fold the lesser is part of the greater,
    and sets of two folds share what chance gives them from one pool.

    Args:
        variance_P: between training sets of each size.
        images_P: the images of each size.
        folds: over which the figures are averaged.
        pool: the images of all folds.
    """
    within_PP = np.sqrt(np.minimum.outer(images_P, images_P) / np.maximum.outer(images_P, images_P))
    between_PP = np.minimum(np.sqrt(np.outer(images_P, images_P)) / pool, within_PP)
    result: Floats = np.sqrt(np.outer(variance_P, variance_P)) * (within_PP / folds + between_PP * (1 - 1 / folds))
    return result
