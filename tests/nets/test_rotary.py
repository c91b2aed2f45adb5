"""Turned queries and keys meet by how far apart they are."""

import pytest
import torch

from tests.references import relative_gap
from vitrail.nets.rotary import angles_of_grid, turn

SPEED_S = torch.tensor([1.0, 0.3, 0.05])


def grid(rows: int, columns: int, *, shift: float = 0.0) -> torch.Tensor:
    return angles_of_grid(torch.arange(rows) + shift, torch.arange(columns) + shift, SPEED_S)


def vectors(tokens: int) -> torch.Tensor:
    return torch.randn(2, 4, tokens, 12, generator=torch.Generator().manual_seed(1))


def test_rows_come_before_columns_in_the_angles_and_patches_row_by_row():
    angle_LR = grid(2, 3)
    assert angle_LR.shape == (6, 6)
    torch.testing.assert_close(angle_LR[4], torch.cat((1 * SPEED_S, 1 * SPEED_S)))  # second row, second column
    torch.testing.assert_close(angle_LR[2], torch.cat((0 * SPEED_S, 2 * SPEED_S)))


@pytest.mark.parametrize("pairs", ["halves", "neighbours"])
def test_a_turn_by_hand_agrees(pairs):
    """One pair of numbers that a quarter turn brings from (1, 2) to (-2, 1); the other is not turned."""
    quarter = torch.tensor([[torch.pi / 2, 0.0]])
    first = {"halves": [1.0, 7.0, 2.0, 8.0], "neighbours": [1.0, 2.0, 7.0, 8.0]}[pairs]
    wanted = {"halves": [-2.0, 7.0, 1.0, 8.0], "neighbours": [-2.0, 1.0, 7.0, 8.0]}[pairs]
    turned_BALE = turn(torch.tensor(first).view(1, 1, 1, 4), quarter, pairs)
    torch.testing.assert_close(turned_BALE.flatten(), torch.tensor(wanted))


@pytest.mark.parametrize("pairs", ["halves", "neighbours"])
def test_products_depend_on_differences_of_places_alone(pairs):
    query_BALE, key_BALE = vectors(6), vectors(6).flip(0)
    products = [
        turn(query_BALE, angle_LR, pairs) @ turn(key_BALE, angle_LR, pairs).mT
        for angle_LR in (grid(2, 3), grid(2, 3, shift=5.5))
    ]
    assert relative_gap(*products) < 1e-5
    assert relative_gap(products[0], query_BALE @ key_BALE.mT) > 0.1


@pytest.mark.parametrize("pairs", ["halves", "neighbours"])
def test_tokens_before_the_patches_stay_and_lengths_too(pairs):
    vector_BALE = vectors(8)
    turned_BALE = turn(vector_BALE, grid(2, 3), pairs)
    assert torch.equal(turned_BALE[:, :, :2], vector_BALE[:, :, :2])
    torch.testing.assert_close(turned_BALE.norm(dim=-1), vector_BALE.norm(dim=-1))


def test_a_turn_of_half_precision_stays_in_it_and_is_computed_in_float32():
    half_BALE = vectors(6).bfloat16()
    turned_BALE = turn(half_BALE, grid(2, 3), "halves")
    assert turned_BALE.dtype == torch.bfloat16
    exact_BALE = turn(half_BALE.float(), grid(2, 3), "halves")
    assert torch.equal(turned_BALE, exact_BALE.bfloat16())
