from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.heads.test_logistic import problem
from vitrail.core.errors import UsageError
from vitrail.heads.batched import Setting, TrainOptions
from vitrail.heads.scaling import fit_scaling
from vitrail.heads.stacks import MlpStack, losses
from vitrail.heads.trained import fit_heads

SETTINGS = [
    Setting(learning_rate=rate, dropout=drop, hidden=24, optimiser=optimiser, weight_decay=decay)
    for rate, decay in ((3e-3, 0.0), (1e-2, 0.1))
    for drop in (0.0, 0.4)
    for optimiser in ("adamw", "rmsprop")
]


def fit(settings, *, epochs=6, val=True, seed=0):
    feature_ND, label_N = problem(N=240)
    train, held_out = (feature_ND[:160], label_N[:160]), (feature_ND[160:], label_N[160:])
    options = TrainOptions(epochs=epochs, batch=32, patience=3, seed=seed)
    return fit_heads(
        train, held_out if val else None, classes=4, settings=settings, options=options, dtype=torch.float64
    )


def test_a_perceptron_among_others_is_the_one_alone():
    for setting, head in zip(SETTINGS, fit(SETTINGS), strict=True):
        (alone,) = fit([setting])
        for name, tensor in head.scores.tensors().items():
            np.testing.assert_allclose(tensor, alone.scores.tensors()[name], rtol=0, atol=1e-10)
        assert (head.setting, head.epochs) == (setting, alone.epochs)


def test_its_first_steps_are_those_of_autograd():
    """Plain torch from the same start, with SGD's momentum as Keras has it, one batch an epoch."""
    feature_ND, label_N = problem(N=100)
    options = TrainOptions(epochs=3, batch=100)
    setting = Setting(learning_rate=0.05, dropout=0.0, hidden=16, optimiser="sgd")
    (head,) = fit_heads(
        (feature_ND, label_N), None, classes=4, settings=[setting], options=options, dtype=torch.float64
    )
    start = MlpStack(1, 12, 16, 4, 0, torch.float64).parameters
    parameters = [tensor[0].clone().requires_grad_() for tensor in start]
    velocity = [torch.zeros_like(tensor) for tensor in parameters]
    row_ND = torch.from_numpy(fit_scaling(feature_ND).apply(feature_ND)).double()
    for _ in range(3):
        score_NC = torch.relu(row_ND @ parameters[0].T + parameters[1]) @ parameters[2].T + parameters[3]
        gradients = torch.autograd.grad(
            torch.nn.functional.cross_entropy(score_NC, torch.from_numpy(label_N)), parameters
        )
        with torch.no_grad():
            for parameter, v, gradient in zip(parameters, velocity, gradients, strict=True):
                v.mul_(0.9).sub_(0.05 * gradient)
                parameter.add_(v)
    np.testing.assert_allclose(head.scores.hidden_weight_HD, parameters[0].detach().numpy(), atol=1e-9)
    np.testing.assert_allclose(head.scores.hidden_bias_H, parameters[1].detach().numpy(), atol=1e-9)
    np.testing.assert_allclose(head.scores.weight_CH, parameters[2].detach().numpy(), atol=1e-9)
    np.testing.assert_allclose(head.scores.bias_C, parameters[3].detach().numpy(), atol=1e-9)


def test_it_learns_what_no_linear_head_can():
    """Exclusive or: two classes, each at two opposite corners."""
    draws = np.random.default_rng(0)
    corner_N2 = draws.integers(0, 2, (400, 2))
    feature_ND = (corner_N2 + draws.normal(0, 0.1, (400, 2))).astype(np.float32)
    label_N = corner_N2[:, 0] ^ corner_N2[:, 1]
    options = TrainOptions(epochs=40, batch=32)
    setting = Setting(learning_rate=1e-2, dropout=0.0, hidden=32, optimiser="adamw")
    (head,) = fit_heads((feature_ND, label_N), None, classes=2, settings=[setting], options=options)
    assert (head.logits(feature_ND).argmax(axis=1) == label_N).mean() > 0.98


def test_the_seed_matters_and_layers_of_two_widths_are_no_one_tensor():
    one, other = fit(SETTINGS[:1])[0], fit(SETTINGS[:1], seed=1)[0]
    assert not np.allclose(one.scores.weight_CH, other.scores.weight_CH)
    with pytest.raises(UsageError, match=r"\[16, 24\]"):
        fit([SETTINGS[0], replace(SETTINGS[0], hidden=16)])


def scores(dtype, *, sure=0.0):
    draws = torch.Generator().manual_seed(0)
    score_GCB = torch.randn(3, 7, 40, generator=draws, dtype=torch.float64)
    label_B = torch.randint(0, 7, (40,), generator=draws)
    score_GCB[:, label_B, torch.arange(40)] += sure
    return score_GCB.to(dtype), label_B


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_and_gradients_are_autograds(weighted):
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
