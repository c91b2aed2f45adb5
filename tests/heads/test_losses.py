import pytest
import torch

from vitrail.heads.losses import losses


def scores(dtype, *, sure=0.0):
    draws = torch.Generator().manual_seed(0)
    score_GCB = torch.randn(3, 7, 40, generator=draws, dtype=torch.float64)
    label_B = torch.randint(0, 7, (40,), generator=draws)
    score_GCB[:, label_B, torch.arange(40)] += sure
    return score_GCB.to(dtype), label_B


@pytest.mark.parametrize("weighted", [False, True])
def test_they_are_autograds(weighted):
    score_GCB, label_B = scores(torch.float64)
    weight_B = torch.linspace(0.5, 2, 40, dtype=torch.float64) if weighted else None
    leaf_GCB = score_GCB.clone().requires_grad_()
    loss_GB = torch.nn.functional.cross_entropy(leaf_GCB, label_B.expand(3, 40), reduction="none")
    loss_GB = loss_GB if weight_B is None else loss_GB * weight_B
    loss_GB.sum().backward()
    loss_G, right_G, error_GCB = losses(score_GCB, label_B, weight_B)
    torch.testing.assert_close(loss_G, loss_GB.detach().sum(dim=1))
    torch.testing.assert_close(error_GCB, leaf_GCB.grad)
    assert right_G.tolist() == (score_GCB.argmax(dim=1) == label_B).sum(dim=1).tolist()


def test_rows_whose_classes_are_all_alike_are_not_right():
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        assert losses(torch.zeros(1, 3, 5, dtype=dtype), torch.zeros(5, dtype=torch.int64), None)[1].tolist() == [0]


def test_half_precision_keeps_the_gradient_of_a_sure_row():
    """The textbook's p - 1 in bfloat16 has lost it: the negative twin."""
    score_GCB, label_B = scores(torch.bfloat16, sure=9.0)
    place = (slice(None), label_B, torch.arange(40))
    wanted_GB = losses(score_GCB.double(), label_B, None)[2][place]
    ours_GB = losses(score_GCB, label_B, None)[2][place].double()
    textbook_GB = (score_GCB.softmax(dim=1)[place] - 1).double()
    assert ((ours_GB - wanted_GB).abs() <= 0.02 * wanted_GB.abs()).all()
    assert ((textbook_GB - wanted_GB).abs() > 0.5 * wanted_GB.abs()).any()
