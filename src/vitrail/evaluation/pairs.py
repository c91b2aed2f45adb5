"""Every pair of backbones on the same test images: difference, tests, and the difference that they can show."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from vitrail.evaluation.contestants import Criteria
from vitrail.evaluation.decision import Pair, conclude
from vitrail.statistics import paired
from vitrail.statistics.clustered import clustered_mcnemar, pair_n

# Letters: N examples.


def number_groups(groups: Mapping[str, str], test_ids: Sequence[str]) -> NDArray[np.int64] | None:
    """The group of each test image as a number; None if no group has two images, or if all images are in one group.

    One group shows nothing of what groups do: its images are taken as independent, which a verdict says.
    """
    named = [("group", groups[i]) if i in groups else ("alone", i) for i in test_ids]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(named))}
    if not 1 < len(numbers) < len(test_ids):
        return None
    return np.array([numbers[name] for name in named], dtype=np.int64)


def judge_pairs(
    correct: Mapping[str, NDArray[np.bool_]],
    group_N: NDArray[np.int64] | None,
    criteria: Criteria,
) -> tuple[Pair, ...]:
    """Compare every backbone with every later one, with p values adjusted over all pairs.

    Args:
        correct: whether each backbone is right on each test image.
        group_N: the number of each image's group; None if images are independent.
        criteria: its seed is not used.
    """
    names = list(correct)
    return judge_these(correct, list(combinations(names, 2)), group_N, criteria)


def judge_these(
    correct: Mapping[str, NDArray[np.bool_]],
    places: Sequence[tuple[str, str]],
    group_N: NDArray[np.int64] | None,
    criteria: Criteria,
) -> tuple[Pair, ...]:
    """The same for the pairs of names in `places` only; p values are adjusted over these."""
    leads = [correct[a].astype(np.int64) - correct[b].astype(np.int64) for a, b in places]
    p_values = [
        paired.mcnemar_exact(int((lead_N == 1).sum()), int((lead_N == -1).sum()))
        if group_N is None
        else clustered_mcnemar(lead_N, group_N)
        for lead_N in leads
    ]
    effects = [1.0 if group_N is None else len(lead_N) / pair_n(lead_N, group_N, criteria.level) for lead_N in leads]
    return tuple(
        _judge_pair(names, lead_N, effect, p, adjusted, len(places), criteria)
        for names, lead_N, effect, p, adjusted in zip(
            places, leads, effects, p_values, paired.holm(p_values), strict=True
        )
    )


def _judge_pair(
    names: tuple[str, str],
    lead_N: NDArray[np.int64],
    effect: float,
    p_value: float,
    holm_p: float,
    tests: int,
    criteria: Criteria,
) -> Pair:
    level, margin = criteria.level, criteria.margin
    n, only_a, only_b = len(lead_N), int((lead_N == 1).sum()), int((lead_N == -1).sum())
    scaled = (only_a / effect, only_b / effect, n / effect)
    difference = replace(paired.paired_difference(*scaled, level), n=n)
    # Two pseudo-examples of discordance: none seen in few images does not mean none to come.
    discordance = (only_a + only_b + 2) / (n + 2)
    return Pair(
        a=names[0],
        b=names[1],
        difference=difference,
        only_a=only_a,
        only_b=only_b,
        mcnemar_p=p_value,
        holm_p=holm_p,
        equivalence_p=paired.equivalence_p(*scaled, margin),
        conclusion=conclude(difference, holm_p, margin),
        design_effect=effect,
        visible=paired.visible_difference(discordance, n / effect, alpha=(1 - level) / tests),
    )
