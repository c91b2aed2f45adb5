from collections.abc import Sequence

import numpy as np

from vitrail.candidates.shift import MOST_COMPARED, compare_ids


def read(ids: Sequence[str]) -> np.ndarray:
    return np.stack([np.random.default_rng(int(example)).normal(size=6) for example in ids]).astype(np.float32)


def test_at_most_about_a_thousand_of_each_side_are_compared_in_whole_groups():
    test = [f"{row:05d}" for row in range(1200)]
    learnt = [f"{row:05d}" for row in range(2000, 4400)]
    groups = {example: f"g{int(example) // 7}" for example in (*test, *learnt) if int(example) % 7 < 6}
    shift = compare_ids(read, test, learnt, groups, seed=0)
    assert shift is not None
    assert MOST_COMPARED <= shift.first < MOST_COMPARED + 7
    assert MOST_COMPARED <= shift.second < MOST_COMPARED + 7


def test_one_group_cannot_be_compared():
    test, learnt = ["0", "1", "2"], [str(row) for row in range(5, 30)]
    assert compare_ids(read, test, learnt, dict.fromkeys(test, "film"), seed=0) is None


def test_the_same_seed_gives_the_same_figures():
    test, learnt = [str(row) for row in range(40)], [str(row) for row in range(100, 180)]
    assert compare_ids(read, test, learnt, {}, seed=3) == compare_ids(read, test, learnt, {}, seed=3)
