import math

import numpy as np
import pytest
import torch

from tests.heads.test_logistic import problem
from vitrail.core.errors import UsageError
from vitrail.heads import batched
from vitrail.heads.batched import Setting, TrainOptions
from vitrail.heads.head import balanced_weights, log_softmax
from vitrail.heads.trained import EarlyStopping, HeadTraining, fit_heads

SETTINGS = [Setting(learning_rate=rate, dropout=drop) for rate in (1e-3, 1e-2) for drop in (0.0, 0.25, 0.5)]
MIXED = [
    Setting(learning_rate=rate, dropout=drop, optimiser=optimiser, weight_decay=decay)
    for drop in (0.5, 0.0)
    for optimiser, rate in (("adamw", 3e-3), ("sgd", 1e-2), ("rmsprop", 1e-3))
    for decay in (0.0, 1e-2)
]


def data():
    feature_ND, label_N = problem(N=240)
    return (feature_ND[:160], label_N[:160]), (feature_ND[160:], label_N[160:])


def fit(settings, *, epochs=8, patience=3, seed=0, val=True, dtype=torch.float64, batch=24, **more):
    train, held_out = data()
    options = TrainOptions(epochs=epochs, batch=batch, patience=patience, seed=seed)
    return fit_heads(
        train, held_out if val else None, classes=4, settings=settings, options=options, dtype=dtype, **more
    )


@pytest.mark.parametrize("settings", [SETTINGS, MIXED], ids=["deck", "mixed"])
@pytest.mark.parametrize("block_bytes", [0, 8 << 20], ids=["blocks of one", "one block"])
def test_a_head_among_others_is_the_head_alone(settings, block_bytes, monkeypatch):
    monkeypatch.setattr(batched, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(batched, "BYTES_A_DRAW", 0)
    monkeypatch.setattr(batched, "TENSOR_BLOCK", 20)  # some rows of a weight at once
    together = fit(settings)
    for setting, head in zip(settings, together, strict=True):
        (alone,) = fit([setting])
        np.testing.assert_allclose(head.scores.weight_CD, alone.scores.weight_CD, rtol=0, atol=1e-10)
        np.testing.assert_allclose(head.scores.bias_C, alone.scores.bias_C, rtol=0, atol=1e-10)
        assert (head.epochs, head.setting) == (alone.epochs, setting)
        assert [point.epoch for point in head.curve] == [point.epoch for point in alone.curve]


def test_64_heads_together_are_64_heads_alone():
    settings = [
        Setting(learning_rate=float(rate), dropout=float(drop))
        for rate in np.geomspace(1e-4, 1e-2, 8)
        for drop in np.linspace(0.5, 0.8, 8)
    ]
    for setting, head in zip(settings, fit(settings, epochs=2), strict=True):
        (alone,) = fit([setting], epochs=2)
        np.testing.assert_allclose(head.scores.weight_CD, alone.scores.weight_CD, rtol=0, atol=1e-10)


def test_it_equals_a_plain_torch_loop():
    """Without dropout, a loop with autograd and Keras's RMSprop written out, over the same order of the examples."""
    from vitrail.heads.dropout import ORDER, Draws
    from vitrail.heads.scaling import fit_scaling

    train, _ = data()
    (head,) = fit([Setting(learning_rate=1e-2, dropout=0.0)], epochs=2, val=False)
    row_ND, label_N = torch.from_numpy(fit_scaling(train[0]).apply(train[0])).double(), torch.from_numpy(train[1])
    linear = torch.nn.Linear(12, 4, dtype=torch.float64)
    for parameter in linear.parameters():
        torch.nn.init.zeros_(parameter)
    square = [torch.zeros_like(parameter) for parameter in linear.parameters()]
    for epoch in (1, 2):
        for row_B in Draws(0, epoch, ORDER).order(160).split(24):
            linear.zero_grad()
            torch.nn.functional.cross_entropy(linear(row_ND[row_B]), label_N[row_B]).backward()
            with torch.no_grad():
                for parameter, v in zip(linear.parameters(), square, strict=True):
                    v.mul_(0.9).add_(0.1 * parameter.grad**2)
                    parameter.sub_(1e-2 * parameter.grad / (v + 1e-7).sqrt())
    np.testing.assert_allclose(head.scores.weight_CD, linear.weight.detach().numpy(), atol=1e-10)
    np.testing.assert_allclose(head.scores.bias_C, linear.bias.detach().numpy(), atol=1e-10)


def test_stopping_some_heads_early_changes_nothing_for_the_others():
    train, held_out = data()
    options = TrainOptions(epochs=8, batch=24, patience=3)
    training = HeadTraining(train, held_out, classes=4, settings=SETTINGS, options=options, dtype=torch.float64)
    training.advance(3)
    training.keep([1, 4])
    training.advance(5)
    halved, whole = training.fits(), fit(SETTINGS)
    for k in (1, 4):
        np.testing.assert_allclose(halved[k].scores.weight_CD, whole[k].scores.weight_CD, rtol=0, atol=1e-10)
    assert [len(halved[k].curve) for k in (0, 2, 3, 5)] == [3] * 4
    np.testing.assert_allclose(
        halved[0].scores.weight_CD, fit(SETTINGS, epochs=3)[0].scores.weight_CD, rtol=0, atol=1e-10
    )


def test_the_curves_say_what_the_heads_do():
    _, held_out = data()
    (head,) = fit([Setting(learning_rate=1e-3, dropout=0.0)], epochs=1, batch=160)
    log_NC = head.logits(held_out[0])
    log_NC = log_NC - np.log(np.exp(log_NC).sum(axis=1, keepdims=True))
    (point,) = head.curve
    assert point.val_loss == pytest.approx(-log_NC[np.arange(80), held_out[1]].mean(), rel=1e-6)
    assert point.val_accuracy == pytest.approx((log_NC.argmax(axis=1) == held_out[1]).mean())
    assert point.train_loss == pytest.approx(np.log(4), rel=1e-6)  # a single step, from weights of 0
    assert point.train_accuracy == 0  # where all classes are as probable as each other, none is said


def test_a_class_weight_is_its_examples_repeated():
    feature_ND, label_N = problem(N=120)
    twice = np.flatnonzero(label_N == 2)
    options = TrainOptions(epochs=3, batch=400, scaling="none")
    settings = [Setting(learning_rate=1e-3, dropout=0.0, optimiser="sgd")]
    more = (np.concatenate([feature_ND, feature_ND[twice]]), np.concatenate([label_N, label_N[twice]]))
    weights = np.array([1.0, 1.0, 2.0, 1.0]) * 120 / len(more[1])
    (weighted,) = fit_heads(
        (feature_ND, label_N),
        None,
        classes=4,
        settings=settings,
        options=options,
        class_weights=weights,
        dtype=torch.float64,
    )
    (repeated,) = fit_heads(more, None, classes=4, settings=settings, options=options, dtype=torch.float64)
    np.testing.assert_allclose(weighted.scores.weight_CD, repeated.scores.weight_CD, atol=1e-8)
    assert balanced_weights(np.array([0, 0, 0, 1]), 3).tolist() == [4 / 6, 2.0, 0.0]


def test_class_weights_reach_the_val_loss_that_stops_a_head():
    train, held_out = data()
    weights = np.array([0.1, 1.0, 5.0, 1.0])
    (head,) = fit_heads(
        train,
        held_out,
        classes=4,
        settings=[Setting(learning_rate=1e-3, dropout=0.0)],
        options=TrainOptions(epochs=1, batch=160),
        class_weights=weights,
        dtype=torch.float64,
    )
    log_NC = log_softmax(head.logits(held_out[0]))
    nll_N = -log_NC[np.arange(80), held_out[1]]
    assert head.curve[0].val_loss == pytest.approx(np.average(nll_N, weights=weights[held_out[1]]), rel=1e-6)


def test_bfloat16_products_come_close():
    train, held_out = data()
    settings = [Setting(learning_rate=1e-2, dropout=0.25)]
    fits = [
        fit_heads(train, held_out, classes=4, settings=settings, options=TrainOptions(epochs=8, precision=precision))[0]
        for precision in ("float32", "bfloat16")
    ]
    losses = [min(point.val_loss for point in head.curve) for head in fits]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert not np.array_equal(fits[0].scores.weight_CD, fits[1].scores.weight_CD)


@pytest.mark.parametrize(
    "setting",
    [{"learning_rate": 0.0}, {"dropout": 1.0}, {"optimiser": "lion"}, {"weight_decay": -1.0}, {"weight_decay": 1e4}],
)
def test_invalid_settings_are_refused(setting):
    with pytest.raises(UsageError, match="cannot be trained"):
        fit([Setting(**({"learning_rate": 1e-3, "dropout": 0.0} | setting))])


def test_the_best_epochs_weights_come_back():
    (stopped,) = fit([Setting(learning_rate=0.3, dropout=0.0)], epochs=30, patience=4)
    losses = [point.val_loss for point in stopped.curve]
    assert stopped.epochs == 1 + int(np.argmin(losses))
    assert len(losses) == min(30, stopped.epochs + 4)
    (again,) = fit([Setting(learning_rate=0.3, dropout=0.0)], epochs=stopped.epochs, val=False)
    np.testing.assert_allclose(again.scores.weight_CD, stopped.scores.weight_CD, atol=1e-10)


def test_dropout_and_seed_matter_and_nothing_else_does():
    plain, dropped = fit([SETTINGS[0], SETTINGS[2]])
    assert not np.allclose(plain.scores.weight_CD, dropped.scores.weight_CD)
    (other,) = fit([SETTINGS[0]], seed=1)
    assert not np.allclose(plain.scores.weight_CD, other.scores.weight_CD)
    (same,) = fit([SETTINGS[0]])
    np.testing.assert_array_equal(plain.scores.weight_CD, same.scores.weight_CD)


def test_a_scripted_loss_stops_patience_epochs_after_its_least():
    stop = EarlyStopping(patience=3)
    for epoch, loss in enumerate([5.0, 4.0, 4.0, 3.0, math.nan, 3.5, 3.0], start=1):
        stop.improved(epoch, loss)
        assert stop.exhausted(epoch) is (epoch == 7)
    assert (stop.best_epoch, stop.best_loss) == (4, 3.0)


def weights_after(epochs: int, *, of: int) -> np.ndarray:
    """The weight of a head trained without a val for some of its epochs."""
    options = TrainOptions(epochs=of, batch=24)
    training = HeadTraining(data()[0], None, classes=4, settings=SETTINGS[:1], options=options, dtype=torch.float64)
    training.advance(epochs)
    (head,) = training.fits()
    return head.scores.weight_CD


def test_without_a_val_the_weights_are_the_mean_over_the_last_third_of_the_epochs():
    at_5, at_6 = weights_after(5, of=60), weights_after(6, of=60)  # far from the last third: those of the epoch
    np.testing.assert_allclose(weights_after(6, of=6), (at_5 + at_6) / 2, atol=1e-12)
    assert not np.allclose(weights_after(6, of=6), at_6, atol=1e-4)


def test_averaged_weights_make_a_refit_depend_less_on_its_last_minibatches():
    """The setting of a search, refitted for its epochs and up to three more or fewer."""
    feature_ND, label_N = problem(N=1200)
    train, test = (feature_ND[:200], label_N[:200]), (feature_ND[200:], label_N[200:])
    setting = Setting(learning_rate=3e-2, dropout=0.5, optimiser="rmsprop")

    def accuracy(epochs: int, *, of: int) -> float:
        options = TrainOptions(epochs=of, batch=24)
        training = HeadTraining(train, None, classes=4, settings=[setting], options=options)
        training.advance(epochs)
        return float((training.fits()[0].logits(test[0]).argmax(axis=1) == test[1]).mean())

    averaged = [accuracy(epochs, of=epochs) for epochs in range(27, 34)]
    last = [accuracy(epochs, of=300) for epochs in range(27, 34)]
    assert np.ptp(averaged) < 0.7 * np.ptp(last)
    assert np.mean(averaged) >= np.mean(last) - 0.002
