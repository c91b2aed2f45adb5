"""Accuracy from a few images per class, scored on val.

As in the few-shot evaluations of ViT and BiT: a closed-form linear head on some shots of each class, with one penalty
for all (as in big_vision evaluators/fewshot_lsr.py), so that nothing is chosen on val. With few images a figure depends
on which images they are: BiT's README has 46 to 66% for one shot of CIFAR-10. So there are many draws, and their spread
is given too.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.search.examples import Examples

# Letters: N examples, D features, C classes.

SHOTS = (1, 2, 5, 10)
DRAWS = 20
PENALTY = 1.0  # of rows whose mean square length is 1; see `fit_shots`


@dataclass(frozen=True, kw_only=True, slots=True)
class FewShot:
    """Accuracy on val from `shots` images of each class, over `draws` of these images.

    `deviation` (divided by draws - 1) is that of single draws; 95% of them lie between `low` and `high`. A class with
    fewer images gives all of them.
    """

    shots: int
    draws: int
    mean: float
    deviation: float
    low: float
    high: float


def score_few_shots(examples: Examples, *, seed: int) -> tuple[FewShot, ...]:
    """Score 1, 2, 5 and 10 shots, as long as half of the classes have so many images."""
    most = min(
        int(np.median(np.unique(examples.label_N[holdout.fit], return_counts=True)[1])) for holdout in examples.holdouts
    )
    return tuple(_over_draws(examples, shots, seed) for shots in SHOTS if shots <= most)


def _over_draws(examples: Examples, shots: int, seed: int) -> FewShot:
    rates = list(_rates(examples, shots, seed))
    low, high = np.quantile(rates, (0.025, 0.975))
    return FewShot(
        shots=shots,
        draws=DRAWS,
        mean=float(np.mean(rates)),
        deviation=float(np.std(rates, ddof=1)),
        low=float(low),
        high=float(high),
    )


def _rates(examples: Examples, shots: int, seed: int) -> Iterator[float]:
    for draw in range(DRAWS):
        right = 0
        for holdout in examples.holdouts:
            # The stream depends on the draw alone: the image of one shot is among those of two, and these among five.
            rows = draw_shots(examples.label_N, holdout.fit, shots, np.random.default_rng([seed, draw]))
            fit = fit_shots(*examples.take_rows(rows), classes=examples.classes)
            right += int((examples.score(fit, holdout.score).argmax(axis=1) == examples.label_N[holdout.score]).sum())
        yield right / len(examples.scored_labels)


def draw_shots(
    label_N: NDArray[np.int64], rows: NDArray[np.int64], shots: int, draws: np.random.Generator
) -> NDArray[np.int64]:
    """`shots` of the `rows` of each class, or all of a smaller class; class by class.

    The same stream draws a subset for fewer shots.
    """
    shuffled = draws.permutation(rows)
    shuffled = shuffled[np.argsort(label_N[shuffled], kind="stable")]
    label = label_N[shuffled]
    rank = np.arange(len(label)) - np.searchsorted(label, label)  # of each row within its class
    result: NDArray[np.int64] = shuffled[rank < shots]
    return result


@dataclass(frozen=True, slots=True)
class ShotsFit:
    """A ridge head on some shots: the mean and the length of their rows, and the weight."""

    mean_D: NDArray[np.float64]
    length: float
    weight_DC: NDArray[np.float64]

    def logits(self, feature_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of other rows."""
        result: NDArray[np.float64] = (feature_ND - self.mean_D) / self.length @ self.weight_DC
        return result


def fit_shots(fit_ND: NDArray[np.float32], label_N: NDArray[np.int64], *, classes: int) -> ShotsFit:
    """A ridge head with one penalty for all data.

    Rows are centred and divided by one number, their root mean square length, so that a penalty means the same on every
    backbone. Features are not divided by their own deviations: those of a handful of rows are noise. Targets are
    one-hot, minus their mean. The system that is solved has the lesser of rows and features.
    """
    mean_D = fit_ND.mean(axis=0, dtype=np.float64)
    centred_ND = fit_ND.astype(np.float64) - mean_D
    N, D = centred_ND.shape
    length = float(np.sqrt((centred_ND**2).sum() / N)) or 1.0
    centred_ND /= length
    target_NC = np.eye(classes)[label_N] - np.bincount(label_N, minlength=classes) / N
    if N <= D:
        weight_DC = centred_ND.T @ np.linalg.solve(centred_ND @ centred_ND.T + PENALTY * np.eye(N), target_NC)
    else:
        weight_DC = np.linalg.solve(centred_ND.T @ centred_ND + PENALTY * np.eye(D), centred_ND.T @ target_NC)
    return ShotsFit(mean_D, length, weight_DC)
