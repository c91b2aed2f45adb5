"""Whether probabilities mean what they say.

The figure is the expected calibration error of the top class (Guo et al. 2017, arXiv 1706.04599): bins of equal width,
closed on the right, |accuracy - mean confidence| weighted by examples. Beside it the same with bins of equally many
examples, which is more informative if most confidences are high (Nixon et al. 2019, arXiv 1904.01685). Not the
class-wise error, which is another quantity. It is biased upwards: noise never cancels in an absolute value, so that a
perfectly calibrated model shows 0.088 at 100 examples. Hence `null`, `debiased` and an interval that knows of the bias.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vitrail.statistics.clustered import design_effect, few_groups
from vitrail.statistics.intervals import LEVEL, Interval

# Letters: N examples, J bins that hold examples, R draws.
# `confidence_N` is the probability of the predicted class, `correct_N` whether the prediction is right, and `group_N`
# the number of each example's group, 0 to G - 1; None if examples are independent.

BINS = 15
DRAWS = 1000
HALVINGS = 20  # of the bracket in which a limit lies
LARGEST_SHIFT = 2.0**20  # standard errors; every bin has reached accuracy 0 or 1 before


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationError(Interval):
    """The ECE with an interval for the error without noise.

    `null` is what a perfectly calibrated model with these confidences shows on average. `debiased` is the error less
    what noise adds to it, sqrt(value^2 - null^2), since independent noise adds in squares; 0 below the null.
    """

    null: float
    debiased: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityBin:
    """One bar of a reliability diagram: examples with confidence in (low, high]."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability(
    confidence_N: NDArray[np.float64], correct_N: NDArray[np.bool_], *, bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Accuracy against mean confidence, of the bins that hold examples.

    [0, 1] is cut into `bins` bins of equal width; a confidence of exactly 0 falls into the first. The bins go from low
    to high confidence.
    """
    bin_N = np.clip(np.ceil(confidence_N * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(bin_N, minlength=bins)
    confidence = np.bincount(bin_N, weights=confidence_N, minlength=bins)
    correct = np.bincount(bin_N, weights=correct_N.astype(np.float64), minlength=bins)
    return tuple(
        ReliabilityBin(
            low=j / bins,
            high=(j + 1) / bins,
            n=int(count[j]),
            confidence=float(confidence[j] / count[j]),
            accuracy=float(correct[j] / count[j]),
        )
        for j in range(bins)
        if count[j]
    )


def reliability_equal_mass(
    confidence_N: NDArray[np.float64], correct_N: NDArray[np.bool_], *, bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Accuracy against mean confidence, in bins of equally many examples.

    A cut that would part equal confidences is moved up to where they end: the order of examples changes nothing.

    There are fewer than `bins` bins if there are fewer distinct confidences. They go from low to high confidence.
    """
    order_N = np.argsort(confidence_N, kind="stable")
    sorted_N, right_N = confidence_N[order_N], correct_N[order_N].astype(np.float64)
    cuts = np.linspace(0, len(sorted_N), bins + 1).round().astype(np.int64)[1:]
    ends = sorted({int(np.searchsorted(sorted_N, sorted_N[cut - 1], side="right")) for cut in cuts if cut})
    starts = [0, *ends[:-1]]
    return tuple(
        ReliabilityBin(
            low=float(sorted_N[start]),
            high=float(sorted_N[end - 1]),
            n=end - start,
            confidence=float(sorted_N[start:end].mean()),
            accuracy=float(right_N[start:end].mean()),
        )
        for start, end in zip(starts, ends, strict=True)
    )


def ece(
    confidence_N: NDArray[np.float64],
    correct_N: NDArray[np.bool_],
    *,
    generator: np.random.Generator,
    group_N: NDArray[np.int64] | None = None,
    bins: int = BINS,
    level: float = LEVEL,
) -> CalibrationError:
    """The ECE, what noise alone would show, and an interval for the error without noise.

    The bootstrap is wrong here: its draws carry the bias twice, and where the truth is near the null a percentile
    interval never covers it. Instead the test "would this error be seen?" is inverted: the low limit is the least error
    of a model that shows the observed ECE or more in (1 - level) / 2 of draws, the high limit the greatest that shows
    it or less. What an error shows depends on how it spreads over bins, so each limit takes the spread least favourable
    to it: a low error sits in the few bins with the clearest gaps, a high one shows in all bins alike. Measured at a
    promised 95%: 93 to 99% over many shapes of error from 300 examples on, less below (tests).

    `generator` draws the noise. The interval is widened if needed to hold the value itself.
    """
    filled = reliability(confidence_N, correct_N, bins=bins)
    together = None if group_N is None else _together(filled, confidence_N, correct_N, group_N, level)
    return _error(filled, together, generator, level)


def ece_equal_mass(
    confidence_N: NDArray[np.float64],
    correct_N: NDArray[np.bool_],
    *,
    generator: np.random.Generator,
    group_N: NDArray[np.int64] | None = None,
    bins: int = BINS,
    level: float = LEVEL,
) -> CalibrationError:
    """The same as `ece` with bins of equally many examples, as far as equal confidences stay together."""
    filled = reliability_equal_mass(confidence_N, correct_N, bins=bins)
    together = None if group_N is None else _together(filled, confidence_N, correct_N, group_N, level)
    return _error(filled, together, generator, level)


@dataclass(frozen=True, slots=True)
class _Together:
    """What groups make of the noise of the bins' gaps: their design effect, and how the gaps move together.

    Independent noise times `mix_JJ` has the correlations of the gaps. An effect alone would not do: more noise in each
    bin is taken for more bias, which lowers the interval, where noise that bins share hardly adds to the bias.
    """

    effect: float
    mix_JJ: NDArray[np.float64]


def _together(
    filled: tuple[ReliabilityBin, ...],
    confidence_N: NDArray[np.float64],
    correct_N: NDArray[np.bool_],
    group_N: NDArray[np.int64],
    level: float,
) -> _Together:
    J, groups = len(filled), int(group_N.max()) + 1
    bin_N = np.searchsorted([b.high for b in filled[:-1]], confidence_N, side="left")
    gap_J = np.array([b.accuracy - b.confidence for b in filled])
    off_N = correct_N - confidence_N - gap_J[bin_N]
    if not off_N.any():
        return _Together(1.0, np.eye(J))
    sum_JG = np.stack(
        [np.bincount(group_N, weights=np.where(bin_N == j, off_N, 0), minlength=groups) for j in range(J)]
    )
    length_J = np.linalg.norm(sum_JG, axis=1)
    unit_JG = sum_JG / np.where(length_J > 0, length_J, 1)[:, None]
    correlation_JJ = unit_JG @ unit_JG.T + np.diag((length_J == 0).astype(np.float64))
    value_J, vector_JJ = np.linalg.eigh(correlation_JJ)
    mix_JJ = vector_JJ * np.sqrt(np.maximum(value_J, 0)) @ vector_JJ.T
    return _Together(design_effect(off_N, group_N, bin_N) / few_groups(groups, level), mix_JJ)


def _error(
    filled: tuple[ReliabilityBin, ...], together: _Together | None, generator: np.random.Generator, level: float
) -> CalibrationError:
    n = sum(b.n for b in filled)
    value = sum(b.n * abs(b.accuracy - b.confidence) for b in filled) / n
    noise_RJ = generator.standard_normal((DRAWS, len(filled)))
    if together is not None:
        filled, noise_RJ = _thin(filled, together.effect), noise_RJ @ together.mix_JJ
    null = ece_null(filled)
    low, high = _invert(filled, value, noise_RJ, (1 - level) / 2)
    return CalibrationError(
        value=value,
        low=min(value, low),
        high=max(value, high),
        level=level,
        method="inverted test of binned gaps" + ("" if together is None else ", by group"),
        n=n,
        null=null,
        debiased=math.sqrt(max(0.0, value**2 - null**2)),
    )


def _thin(filled: tuple[ReliabilityBin, ...], effect: float) -> tuple[ReliabilityBin, ...]:
    """The bins with as many examples as independent ones would be."""
    return tuple(replace(b, n=max(1, round(b.n / effect))) for b in filled)


def ece_null(filled: tuple[ReliabilityBin, ...]) -> float:
    """The ECE that a perfectly calibrated model with these confidences shows on average.

    Each bin's count of right predictions is taken as binomial at its mean confidence, whose mean absolute deviation de
    Moivre gave: 2 m (1 - p) P(X = m) with m = floor(n p) + 1.

    Only the counts and mean confidences of the bins are used. The mean is exact up to the spread of confidences inside
    a bin.
    """
    n_J = np.array([b.n for b in filled])
    p_J = np.array([b.confidence for b in filled])
    m_J = np.floor(n_J * p_J) + 1
    # By its logarithm: scipy's pmf overflows where a confidence is next to zero.
    pmf_J = np.exp(stats.binom.logpmf(m_J, n_J, p_J))
    return float((2 * m_J * (1 - p_J) * pmf_J).sum() / n_J.sum())


def _invert(
    filled: tuple[ReliabilityBin, ...], value: float, noise_RJ: NDArray[np.float64], tail: float
) -> tuple[float, float]:
    n_J = np.array([b.n for b in filled], dtype=np.float64)
    confidence_J = np.array([b.confidence for b in filled])
    accuracy_J = np.array([b.accuracy for b in filled])
    gap_J = accuracy_J - confidence_J
    weight_J = n_J / n_J.sum()
    sign_J = np.where(gap_J > 0, 1.0, -1.0)
    guarded_J = (accuracy_J * n_J + 2) / (n_J + 4)  # Agresti and Coull 1998: a bin without errors still has some
    expected_J = confidence_J * (1 - confidence_J)

    def clearest(shift: float) -> NDArray[np.float64]:
        """The observed gaps, each less some standard errors, from none left (0) to all of them (1)."""
        less_J = (1 / max(shift, 1e-9) - 1) * np.sqrt(expected_J / n_J)
        return np.asarray(sign_J * np.maximum(np.abs(gap_J) - less_J, 0.0))

    def alike(shift: float) -> NDArray[np.float64]:
        """The same number of standard errors in every bin."""
        return sign_J * np.sqrt(guarded_J * (1 - guarded_J) / n_J) * shift

    def show(gaps_J: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The true error of a model with these gaps, and the errors it shows in each draw."""
        true_J = np.clip(confidence_J + gaps_J, 0.0, 1.0)
        variance_J = np.maximum(true_J * (1 - true_J), expected_J) / n_J
        seen_RJ = np.clip(true_J + np.sqrt(variance_J) * noise_RJ, 0.0, 1.0)
        return float(weight_J @ np.abs(true_J - confidence_J)), np.abs(seen_RJ - confidence_J) @ weight_J

    def seen_at_least(shift: float) -> bool:
        return float((show(clearest(shift))[1] >= value).mean()) > tail

    def not_seen_at_most(shift: float) -> bool:
        return float((show(alike(shift))[1] <= value).mean()) <= tail

    low = 0.0 if seen_at_least(0.0) else show(clearest(_first(seen_at_least, 1.0)))[0]
    bracket = 1.0
    while bracket < LARGEST_SHIFT and not not_seen_at_most(bracket):
        bracket *= 2
    return low, show(alike(_first(not_seen_at_most, bracket)))[0]


def _first(holds: Callable[[float], bool], highest: float) -> float:
    """The least shift in [0, highest] from which on something holds, by halving."""
    low, high = 0.0, highest
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
