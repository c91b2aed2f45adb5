"""Two classifiers on the same examples: is there a difference, how large may it be, how many examples would show it.

Only discordant examples count: `only_a` were right with A alone, `only_b` with B alone; `n` is the number of all
examples. Nothing here may be used on two classifiers that saw different examples.
"""

import math

from scipy import optimize, special

from vitrail.statistics.intervals import LEVEL, Interval, normal_quantile

POWER = 0.8
ROOT_TOLERANCE = 1e-14


def fault_of_level_or_margin(level: float, margin: float) -> str | None:
    """Why a confidence level and a margin of accuracy cannot be used, as a sentence; None if they do."""
    if 0 < level < 1 and 0 < margin < 1:
        return None
    return (
        f"A level of {level:g} and a margin of {margin:g} cannot be used: both are fractions between 0 and 1, "
        "such as 0.95 and 0.01, which is one point."
    )


def mcnemar_exact(only_a: float, only_b: float) -> float:
    """The two-sided p value of McNemar's exact test: is a discordant example as likely to be A's as B's?

    The binomial test at 1/2, not the chi-square approximation and not the mid-p value. Counts are fractions if they
    were divided by a design effect: then it is the continuous function that has the binomial tail at whole counts.

    It is 1 without discordant examples.
    """
    if only_a + only_b == 0:
        return 1.0
    # At 1/2 both tails are alike; scipy's binomtest gives the same a hundred times slower.
    return min(1.0, 2 * float(special.betainc(max(only_a, only_b), min(only_a, only_b) + 1, 0.5)))


def mcnemar_score(only_a: float, only_b: float) -> float:
    """The two-sided p value of McNemar's test as a score test, without continuity correction.

    Below 1 - level exactly where Tango's interval at this level leaves out 0 (Tango 1998). Counts are fractions if they
    were divided by a design effect.

    It is 1 without discordant examples.
    """
    if only_a + only_b == 0:
        return 1.0
    return 2 * float(special.ndtr(-abs(only_a - only_b) / math.sqrt(only_a + only_b)))


def paired_difference(only_a: float, only_b: float, n: float, level: float = LEVEL) -> Interval:
    """The accuracy of A minus the accuracy of B, with Tango's score interval.

    It holds all differences that the score test for paired rates does not reject (Tango 1998, Statistics in Medicine
    17:891-908). Its exact coverage of a promised 95%, over 20 shapes of discordance: 93.3 to 96.6% where 10 or more
    discordances are expected, 95.0% on average, and never below 93.1%. Newcombe's method 10 and Bonett and Price's
    interval cover 96 to 99% at 5 to 10 discordances, and Wald's 26 to 90% where they are few and lean to one side.

    Counts are fractions if they were divided by a design effect; `n` counts concordant examples too. The difference is
    in [-1, 1].
    """
    value = (only_a - only_b) / n
    z2 = normal_quantile(level) ** 2

    def rejected(difference: float) -> float:
        """Positive where the score test rejects."""
        return (only_a - only_b - n * difference) ** 2 - z2 * _score_variance(only_a, only_b, n, difference)

    # At the value itself the test never rejects; a hair beside it, so that a root there (no discordances) is not taken.
    hair = min(1e-9, z2 / (100 * n))
    low, high = -1.0, 1.0
    if rejected(-1.0) > 0:
        low = float(optimize.brentq(rejected, -1.0, value - hair, xtol=ROOT_TOLERANCE))
    if rejected(1.0) > 0:
        high = float(optimize.brentq(rejected, value + hair, 1.0, xtol=ROOT_TOLERANCE))
    return Interval(value=value, low=low, high=high, level=level, method="tango score", n=round(n))


def noninferiority_p(only_a: float, only_b: float, n: float, margin: float) -> float:
    """The p value that A is less accurate than B by the margin or more: a one-sided score test.

    It is below alpha exactly where Tango's interval at level 1 - 2 alpha lies above -margin (Tango 1998).

    `margin` is the loss, as a fraction in (0, 1), that would matter.
    """
    variance = _score_variance(only_a, only_b, n, -margin)
    distance = only_a - only_b + n * margin
    z = distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)
    return float(special.ndtr(-z))


def equivalence_p(only_a: float, only_b: float, n: float, margin: float) -> float:
    """The p value that the accuracies differ by the margin or more: two one-sided tests (TOST).

    Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657-680.

    `margin` is the difference, as a fraction in (0, 1), that would matter.
    """
    return max(noninferiority_p(only_a, only_b, n, margin), noninferiority_p(only_b, only_a, n, margin))


def images_needed(difference: float, discordance: float, *, alpha: float = 0.05, power: float = POWER) -> float:
    """How many examples McNemar's test needs to see a difference, should it be the true one.

    `difference` is that of the accuracies, `discordance` the rate of examples that one of the two gets right and the
    other wrong, both fractions. `alpha` is the level of the two-sided test, divided by the number of tests if there are
    several, `power` the chance to see the difference. Infinite for no difference. Source: Connor 1987, Biometrics
    43:207-211.
    """
    if difference == 0:
        return math.inf
    z_alpha, z_power = normal_quantile(1 - alpha), float(special.ndtri(power))
    spread = math.sqrt(max(0.0, discordance - difference**2))
    return (z_alpha * math.sqrt(discordance) + z_power * spread) ** 2 / difference**2


def images_for_margin(
    loss: float, discordance: float, margin: float, *, alpha: float = 0.05, power: float = POWER
) -> float:
    """How many examples show that a loss of accuracy is less than the margin, should it be the true one.

    `loss` is that of the accuracy, as a fraction; negative for a gain. `margin` is the loss that would matter, `alpha`
    the level of the two-sided interval that has to stay below it, `power` the chance that it does. Infinite if the loss
    is the margin or more.
    """
    if loss >= margin:
        return math.inf
    z = normal_quantile(1 - alpha) + float(special.ndtri(power))
    return z**2 * max(0.0, discordance - loss**2) / (margin - loss) ** 2


def visible_difference(discordance: float, n: float, *, alpha: float = 0.05, power: float = POWER) -> float:
    """The smallest difference that n examples show with the given power: 2.8 sqrt(discordance / n) by default.

    `discordance` is the rate of examples that one of the two gets right and the other wrong. No difference is larger
    than it: where the formula asks for more, discordance and difference are both 7.8 / n, which solves it.

    The difference is a fraction, at most 1.
    """
    z = normal_quantile(1 - alpha) + float(special.ndtri(power))
    return min(1.0, max(z * math.sqrt(discordance / n), z**2 / n))


def _score_variance(only_a: float, only_b: float, n: float, difference: float) -> float:
    """The variance of only_a - only_b under a difference, with the other parameter at its most likely value.

    That is q, the chance of an example right with B alone, the larger root of 2n q^2 + b q + c = 0; that of A alone
    is q + difference.
    """
    b = -only_a - only_b + (2 * n - only_a + only_b) * difference
    c = -only_b * difference * (1 - difference)
    q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    return max(0.0, n * (2 * q + difference * (1 - difference)))
