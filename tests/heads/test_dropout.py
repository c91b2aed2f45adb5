import pytest
import torch

from vitrail.heads.dropout import DROPOUT, ORDER, Draws, drop, kept_scale, threshold


@pytest.mark.parametrize("dropout", [0.0, 0.25, 0.7])
def test_the_requested_share_is_dropped_and_the_mean_stays(dropout):
    below = threshold(dropout)
    kept_BD = drop(torch.ones(500, 401), Draws(0, 1, DROPOUT).levels(500, 401), below)
    assert float((kept_BD == 0).double().mean()) == pytest.approx(dropout, abs=0.005)
    assert float(kept_BD.mean()) * kept_scale(below) == pytest.approx(1, abs=0.02)


def test_an_epochs_draws_come_again_and_differ_from_epoch_to_epoch():
    first, again, other = (Draws(0, epoch, DROPOUT).levels(3, 5) for epoch in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert sorted(Draws(0, 1, ORDER).order(50).tolist()) == list(range(50))


def test_who_drops_more_drops_what_the_other_drops_too():
    level_BD = Draws(0, 1, DROPOUT).levels(20, 30)
    little, much = (drop(torch.ones(20, 30), level_BD, threshold(dropout)) == 0 for dropout in (0.3, 0.6))
    assert bool((much | ~little).all())
