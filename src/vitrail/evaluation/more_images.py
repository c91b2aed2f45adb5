"""How many more test images would settle a pick that is too close to call.

The true difference is not known, and the number depends on it: the fewest are needed if it is large, the most if a
backbone is just about the margin behind. So the answer is a range, over every difference that the interval of the pair
leaves possible. A pair is settled, with a probability of four in five, by whichever needs fewer images: the pick is
shown to lose less than the margin, or the other is shown to be better.
"""

from collections.abc import Sequence

import numpy as np

from vitrail.evaluation.pairs import Pair
from vitrail.statistics.paired import images_for_margin, images_needed

STEPS = 41  # differences tried from one end of a range to the other


def images_to_settle(pairs: Sequence[Pair], *, margin: float, tests: int, backbones: int) -> tuple[float, float]:
    """How many more images settle every pair of a pick, `a` of each, with others: at least and at most.

    `margin` is the loss of accuracy, as a fraction, that matters; `tests` the number of pairs that are tested together,
    `backbones` that of backbones compared. Pairs in which a loss of the margin is excluded already count as settled;
    (0, 0) if all are.
    """
    ranges = [_settle(pair, margin, tests, backbones) for pair in pairs if pair.loss_a >= margin]
    return max((least for least, _ in ranges), default=0.0), max((most for _, most in ranges), default=0.0)


def _settle(pair: Pair, margin: float, tests: int, backbones: int) -> tuple[float, float]:
    d, alpha = pair.difference, 1 - pair.difference.level
    # The most are needed somewhere between level and the margin behind, which a wide interval steps over.
    tried = [*np.linspace(d.low, d.high, STEPS), *np.linspace(-margin, 0, STEPS).clip(d.low, d.high)]
    counts = []
    for difference in map(float, tried):
        discordant = max(pair.discordance, abs(difference))
        better = images_needed(difference, discordant, alpha=alpha / tests) if difference < 0 else np.inf
        within = images_for_margin(-difference, discordant, margin, alpha=min(2 * alpha / max(1, backbones - 1), 0.5))
        counts.append(max(0.0, pair.design_effect * min(better, within) - d.n))
    return min(counts), max(counts)
