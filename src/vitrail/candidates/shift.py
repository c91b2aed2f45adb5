"""Whether the test images are drawn as the training images are, by their features. No label is needed.

Only a test that was given can differ: one that Vitrail drew is drawn from the same images.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.data import Dataset, Split
from vitrail.features import Features
from vitrail.search.examples import number_groups
from vitrail.statistics.two_samples import TwoSamples, tell_apart

MOST_COMPARED = 1_000  # images of each side; groups are not parted
MOST_OF_GROUP = 50


def compare_with_training(features: Features, dataset: Dataset, split: Split, *, seed: int) -> TwoSamples | None:
    """Compare the features of test images with those of train and val; None if the test was drawn, or is one group."""
    if not dataset.test_is_given:
        return None
    learnt = sorted((*split.train, *split.val))
    return compare_ids(features.rows, split.test, learnt, dataset.groups(), seed=seed)


def compare_ids(
    read_rows: Callable[[Sequence[str]], NDArray[np.float32]],
    test_ids: Sequence[str],
    learnt_ids: Sequence[str],
    groups: dict[str, str],
    *,
    seed: int,
) -> TwoSamples | None:
    """The same for some ids, each side sorted; None if a side has fewer than two groups.

    `groups` has the group of each example that has one.
    """
    test, learnt = (_choose(ids, groups) for ids in (test_ids, learnt_ids))
    ids = [*test, *learnt]
    group_N = number_groups(pa.array([groups.get(example) for example in ids], pa.string()))
    second_N = np.arange(len(ids)) < len(test)
    if min(len(np.unique(group_N[second_N])), len(np.unique(group_N[~second_N]))) < 2:
        return None
    return tell_apart(read_rows(ids), second_N, group_N, generator=np.random.default_rng(seed))


def _choose(ids: Sequence[str], groups: dict[str, str]) -> list[str]:
    """Groups in the order of their first ids, until there are enough: ids are digests, so that is a random draw.

    Of each the first MOST_OF_GROUP are taken, on both sides: if what is taken of a group depended on its side, groups
    would not be exchangeable.
    """
    members: dict[tuple[str, str], list[str]] = {}
    for example in ids:
        key = ("group", groups[example]) if example in groups else ("alone", example)
        members.setdefault(key, []).append(example)
    chosen: list[str] = []
    for group in members.values():
        if len(chosen) >= MOST_COMPARED:
            break
        chosen.extend(group[:MOST_OF_GROUP])
    return chosen
