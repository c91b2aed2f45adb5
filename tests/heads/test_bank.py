"""Distances to the training images are those of new groups; the bank has as many groups as it can hold."""

import numpy as np
import pytest

from vitrail.heads.bank import BANK, LARGEST_DISTANCE, choose_rows, fill_bank, neighbour_distance

CENTRE_CD = 1.5 * np.random.default_rng(0).normal(size=(10, 32))


def draw_groups(draws: np.random.Generator, count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of ten classes; images of a group, frames of one film, lie close together."""
    place_GD = CENTRE_CD[draws.integers(0, 10, count)] + draws.normal(size=(count, 32))
    group_N = np.repeat(np.arange(count), size)
    return (place_GD[group_N] + 0.8 * draws.normal(size=(count * size, 32))).astype(np.float32), group_N


@pytest.mark.parametrize("size", [1, 4, 12])
def test_one_per_cent_of_images_of_new_groups_are_flagged(size: int):
    """The twin: with neighbours from its own group an image seems nearer to the others than a new one can be."""
    draws, flagged, own = np.random.default_rng(1), [], []
    for _ in range(20):
        feature_ND, group_N = draw_groups(draws, 1500 // size, size)
        new_ND, _ = draw_groups(draws, 1500 // size, size)
        ids = [str(row) for row in range(len(feature_ND))]
        for groups, shares in ((group_N, flagged), (None, own)):
            bank = fill_bank(ids, feature_ND, groups)
            far_N = neighbour_distance(new_ND, bank.row_BD, bank.neighbours) > bank.distance
            shares.append(float(far_N.mean()))
    assert np.mean(flagged) == pytest.approx(0.01, abs=0.005)
    if size == 12:
        assert np.mean(own) > 0.1


def test_every_group_has_a_row_before_any_has_two():
    group_N = np.append(np.zeros(3 * BANK, np.int64), np.arange(1, 901))
    ids = [f"{row:05d}" for row in range(len(group_N))]
    chosen_B = choose_rows(ids, group_N)
    assert len(chosen_B) == BANK
    assert set(group_N[chosen_B[:901]].tolist()) == set(range(901))
    shuffled = np.random.default_rng(2).permutation(len(ids))
    again_B = choose_rows([ids[row] for row in shuffled], group_N[shuffled])
    assert (shuffled[again_B] == chosen_B).all()


def test_a_share_of_alarms_that_so_few_groups_cannot_promise_is_not_promised():
    feature_ND, group_N = draw_groups(np.random.default_rng(3), 19, 30)
    bank = fill_bank([str(row) for row in range(570)], feature_ND, group_N)
    assert bank.alarms == 1 / 20


def test_neighbours_are_as_many_as_there_are_outside_the_largest_group():
    feature_ND, _ = draw_groups(np.random.default_rng(4), 20, 1)
    group_N = np.array([0] * 14 + list(range(1, 7)))
    assert fill_bank([str(row) for row in range(20)], feature_ND, group_N).neighbours == 6


def test_one_group_alone_flags_nothing():
    feature_ND, _ = draw_groups(np.random.default_rng(5), 1, 20)
    bank = fill_bank([str(row) for row in range(20)], feature_ND, np.zeros(20, np.int64))
    assert (bank.distance, bank.alarms) == (LARGEST_DISTANCE, 0.5)
    assert not (neighbour_distance(-feature_ND, bank.row_BD, bank.neighbours) > bank.distance).any()
