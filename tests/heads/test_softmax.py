import math

import numpy as np
import torch

from tests.heads.test_logistic import problem
from vitrail.heads.softmax import SoftmaxOptions, SoftmaxSetting, _rmsprop, fit_heads

SETTINGS = [SoftmaxSetting(learning_rate=rate, dropout=drop) for rate in (1e-3, 1e-2) for drop in (0.0, 0.25, 0.5)]


def fit(settings, *, epochs=8, patience=3, seed=0, val=True, dtype=torch.float64):
    feature_ND, label_N = problem(N=240)
    train, held_out = (feature_ND[:160], label_N[:160]), (feature_ND[160:], label_N[160:])
    options = SoftmaxOptions(epochs=epochs, batch=24, patience=patience, seed=seed)
    return fit_heads(train, held_out if val else None, classes=4, settings=settings, options=options, dtype=dtype)


def test_a_head_among_others_is_the_head_alone():
    together = fit(SETTINGS)
    for setting, head in zip(SETTINGS, together, strict=True):
        (alone,) = fit([setting])
        np.testing.assert_allclose(head.weight_CD, alone.weight_CD, rtol=0, atol=1e-10)
        np.testing.assert_allclose(head.bias_C, alone.bias_C, rtol=0, atol=1e-10)
        assert head.epochs == alone.epochs


def test_rmsprop_is_kerass_for_two_steps_by_hand():
    weight, square = torch.tensor([1.0], dtype=torch.float64), torch.tensor([0.0], dtype=torch.float64)
    gradient = 1e-4
    _rmsprop(weight, square, torch.tensor([gradient], dtype=torch.float64), 1e-3)
    v1 = 0.1 * gradient**2
    first = 1.0 - 1e-3 * gradient / math.sqrt(v1 + 1e-7)
    assert math.isclose(float(weight), first, rel_tol=1e-12)
    assert math.isclose(1.0 - first, 3.15e-4, rel_tol=0.01)  # torch's own form would move ten times as far
    _rmsprop(weight, square, torch.tensor([gradient], dtype=torch.float64), 1e-3)
    v2 = 0.9 * v1 + 0.1 * gradient**2
    assert math.isclose(float(weight), first - 1e-3 * gradient / math.sqrt(v2 + 1e-7), rel_tol=1e-12)


def test_the_best_epochs_weights_come_back():
    (stopped,) = fit([SoftmaxSetting(learning_rate=0.3, dropout=0.0)], epochs=30, patience=4)
    losses = [point.val_loss for point in stopped.curve]
    assert stopped.epochs == 1 + int(np.argmin(losses))
    assert len(losses) == min(30, stopped.epochs + 4)
    (again,) = fit([SoftmaxSetting(learning_rate=0.3, dropout=0.0)], epochs=stopped.epochs, val=False)
    np.testing.assert_allclose(again.weight_CD, stopped.weight_CD, atol=1e-10)


def test_dropout_and_seed_matter_and_nothing_else_does():
    plain, dropped = fit([SETTINGS[0], SETTINGS[2]])
    assert not np.allclose(plain.weight_CD, dropped.weight_CD)
    (other,) = fit([SETTINGS[0]], seed=1)
    assert not np.allclose(plain.weight_CD, other.weight_CD)
    (same,) = fit([SETTINGS[0]])
    np.testing.assert_array_equal(plain.weight_CD, same.weight_CD)
