"""What is left of the best of many, corrected for having been chosen on the very images that praise it.

Of several backbones the one that looks best had luck on its side more often than not. How much, the images say
themselves: they are drawn again and again with replacement, the best of each draw is taken, and what it gains over its
accuracy on the real images is the luck of being chosen (Efron 2014's view of selection, JASA 109:991-1007). The
interval is Wilson's at the level of Bonferroni's correction over all backbones, which holds for whichever is chosen.
Where images come in groups, groups are drawn and the interval is that of groups.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.evaluation.sentences import say_rate
from vitrail.statistics.intervals import LEVEL, Interval
from vitrail.statistics.metrics import rate

# Letters: N examples, G groups, K backbones, R draws, P patterns of who is right.

DRAWS = 4000
AT_ONCE = 20_000_000  # counts in memory, where groups are drawn
SHOWN = 0.0005  # half a tenth of a point


@dataclass(frozen=True, kw_only=True, slots=True)
class WinnersCurse:
    """The most accurate of `of` backbones: its top-1 as seen, and with the choice allowed for."""

    name: str
    of: int
    seen: float
    luck: float
    corrected: Interval


def correct_winner(
    correct: Mapping[str, NDArray[np.bool_]],
    group_N: NDArray[np.int64] | None = None,
    *,
    generator: np.random.Generator,
    level: float = LEVEL,
) -> WinnersCurse | None:
    """Correct the accuracy of the best of several; None for a single backbone.

    Args:
        correct: whether each backbone is right on each of the same test images; of equal ones the first is the best.
        group_N: the number of each image's group; None if images are independent.
        generator: draws the images, or the groups.
        level: of the corrected interval.
    """
    if len(correct) < 2:
        return None
    names = list(correct)
    right_KN = np.stack([correct[name] for name in names])
    n = right_KN.shape[1]
    rate_RK = _draw(right_KN, generator) if group_N is None else _draw_groups(right_KN, group_N, generator)
    rate_K = right_KN.mean(axis=1)
    best_R = rate_RK.argmax(axis=1)
    luck = max(0.0, float((rate_RK.max(axis=1) - rate_K[best_R]).mean()))
    best = int(rate_K.argmax())
    wide = rate(right_KN[best], group_N, level=1 - (1 - level) / len(names))
    value = max(0.0, float(rate_K[best]) - luck)
    corrected = Interval(
        value=value,
        low=min(value, wide.low),
        high=max(value, wide.high),
        level=level,
        method=f"{wide.method}, bonferroni over {len(names)}; value less the luck of being chosen",
        n=n,
    )
    return WinnersCurse(name=names[best], of=len(names), seen=float(rate_K[best]), luck=luck, corrected=corrected)


def _draw(right_KN: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.float64]:
    """The accuracies of all in each draw of images, R x K; images that are right with the same ones count together."""
    n = right_KN.shape[1]
    pattern_KP, count_P = np.unique(right_KN, axis=1, return_counts=True)
    count_RP = generator.multinomial(n, count_P / n, size=DRAWS)
    return np.asarray(count_RP @ pattern_KP.T / n)


def _draw_groups(
    right_KN: NDArray[np.bool_], group_N: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """The same for draws of groups."""
    size_G = np.bincount(group_N).astype(np.float64)
    right_GK = np.stack([np.bincount(group_N, weights=right_N) for right_N in right_KN], axis=1)
    groups, parts = len(size_G), []
    rows = max(1, AT_ONCE // groups)
    for start in range(0, DRAWS, rows):
        count_RG = generator.multinomial(groups, np.full(groups, 1 / groups), size=min(rows, DRAWS - start))
        parts.append(count_RG @ right_GK / (count_RG @ size_G)[:, None])
    return np.concatenate(parts)


def say_winner(winner: WinnersCurse | None) -> tuple[str, ...]:
    """What to add to a decision; nothing where the correction would not show."""
    if winner is None or winner.luck < SHOWN:
        return ()
    return (
        f"{winner.name} is the best of {winner.of} on these very images; less the luck of being chosen, it is at "
        f"{say_rate(winner.corrected)}.",
    )
