"""The softmax head of the deck: dropout on the features, RMSprop, early stopping; K of them trained as one tensor.

Head k of a batch of K is the same head as k trained alone: nothing in a head's arithmetic reads another head, and
what is drawn at random does not depend on how many heads there are. The rule of the draws: from the seed come, epoch by
epoch, one order of the examples, and step by step, one number for each feature of each row of the minibatch. All heads
share them; a head with dropout p drops the feature where the number is below p. So two heads differ by their settings,
not by their luck, and drawing costs no more for 64 heads than for one.

As in Keras (keras/src/optimizers/rmsprop.py:143): v = rho v + (1 - rho) g^2 from v = 0, w -= rate g / sqrt(v + eps),
eps inside the root. Two departures: weights start at 0 and not at Glorot's noise, since the loss is convex and without
decay the noise would stay in the solution; and losses are taken of the logits, not of probabilities clipped at 1e-7.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.heads.early_stopping import CurvePoint, EarlyStopping
from vitrail.heads.scaling import Scaling, fit_scaling
from vitrail.heads.scores import Linear

# Letters: N examples, B examples of a minibatch, D features, C classes, K heads trained together, G distinct dropouts.

RHO = 0.9  # keras/src/optimizers/rmsprop.py
EPSILON = 1e-7
LEVELS = 1 << 16  # dropout is a multiple of 1 / 65,536


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftmaxSetting:
    """What differs from head to head. `dropout` is the fraction of features dropped, in [0, 1)."""

    learning_rate: float
    dropout: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftmaxOptions:
    """What all heads of a batch share. `batch` counts examples; `epochs` is the most a head trains."""

    epochs: int = 100
    batch: int = 128
    patience: int = 5
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftmaxFit:
    """A trained head on scaled features; `epochs` is how many its weights have seen."""

    setting: SoftmaxSetting
    scaling: Scaling
    weight_CD: NDArray[np.float64]
    bias_C: NDArray[np.float64]
    epochs: int
    curve: tuple[CurvePoint, ...]

    @property
    def scores(self) -> Linear:
        """What a `Head` keeps."""
        return Linear(weight_CD=self.weight_CD, bias_C=self.bias_C)

    def logits(self, feature_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of unscaled rows, float64."""
        return self.scores.logits(self.scaling.exact(feature_ND))


Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]


def fit_heads(
    train: Labelled,
    val: Labelled | None,
    *,
    classes: int,
    settings: Sequence[SoftmaxSetting],
    options: SoftmaxOptions,
    dtype: torch.dtype = torch.float32,
) -> list[SoftmaxFit]:
    """Train one head a setting, all together.

    Args:
        train: N x D features, unscaled, and N class indices.
        val: likewise; a head stops after `patience` epochs without a lesser val loss and gets its best weights back.
            None trains all epochs, without a curve.
        classes: how many there are.
        settings: one for each head.
        options: what the heads share.
        dtype: of the whole computation.

    Returns:
        One fit a setting, in their order.
    """
    scaling = fit_scaling(train[0])
    train_rows, val_rows = (
        None if part is None else (torch.from_numpy(scaling.apply(part[0])).to(dtype), torch.from_numpy(part[1]))
        for part in (train, val)
    )
    assert train_rows is not None
    heads = _Heads(settings, train_rows[0].shape[1], classes, dtype)
    stops = [EarlyStopping(patience=options.patience) for _ in settings]
    best_weight_KDC, best_bias_KC = torch.zeros_like(heads.weight_KDC), torch.zeros_like(heads.bias_KC)
    curves: list[list[CurvePoint]] = [[] for _ in settings]
    draws = torch.Generator().manual_seed(options.seed)
    for epoch in range(1, options.epochs + 1):
        loss_K, accuracy_K = _train_epoch(heads, *train_rows, options.batch, draws)
        if val_rows is None:
            continue
        val_loss_K, val_accuracy_K = _score(heads, *val_rows)
        going = []
        for place, k in enumerate(heads.which):
            point = CurvePoint(
                epoch=epoch,
                train_loss=float(loss_K[place]),
                val_loss=float(val_loss_K[place]),
                train_accuracy=float(accuracy_K[place]),
                val_accuracy=float(val_accuracy_K[place]),
            )
            curves[k].append(point)
            if stops[k].improved(epoch, point.val_loss):
                best_weight_KDC[k], best_bias_KC[k] = heads.weight_KDC[place], heads.bias_KC[place]
            if not stops[k].exhausted(epoch):
                going.append(place)
        heads.keep(going)
        if not going:
            break
    weight_KDC, bias_KC = (heads.weight_KDC, heads.bias_KC) if val_rows is None else (best_weight_KDC, best_bias_KC)
    return [
        SoftmaxFit(
            setting=setting,
            scaling=scaling,
            weight_CD=weight_KDC[k].T.double().numpy(),
            bias_C=bias_KC[k].double().numpy(),
            epochs=options.epochs if val_rows is None else stops[k].best_epoch,
            curve=tuple(curves[k]),
        )
        for k, setting in enumerate(settings)
    ]


class _Heads:
    """The heads still in training; `which` are their places among all."""

    def __init__(self, settings: Sequence[SoftmaxSetting], features: int, classes: int, dtype: torch.dtype) -> None:
        K = len(settings)
        self.which = list(range(K))
        self.weight_KDC = torch.zeros(K, features, classes, dtype=dtype)
        self.bias_KC = torch.zeros(K, classes, dtype=dtype)
        self.square_KDC, self.square_KC = torch.zeros_like(self.weight_KDC), torch.zeros_like(self.bias_KC)
        self.rate_K = torch.tensor([setting.learning_rate for setting in settings], dtype=dtype)
        self.threshold_K = torch.tensor([round(setting.dropout * LEVELS) for setting in settings])

    def keep(self, places: list[int]) -> None:
        """Go on with some of them."""
        if len(places) == len(self.which):
            return
        self.which = [self.which[place] for place in places]
        for name in ("weight_KDC", "bias_KC", "square_KDC", "square_KC", "rate_K", "threshold_K"):
            setattr(self, name, getattr(self, name)[places])

    def same_dropout(self) -> Iterator[tuple[int, list[int]]]:
        """Each distinct dropout threshold with the places of its heads."""
        for threshold in sorted(set(self.threshold_K.tolist())):
            yield threshold, torch.nonzero(self.threshold_K == threshold)[:, 0].tolist()


def _train_epoch(
    heads: _Heads, feature_ND: Tensor, label_N: Tensor, batch: int, draws: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One pass over the examples; mean loss and accuracy of its minibatches, for each head."""
    N, D = feature_ND.shape
    loss_K, correct_K = torch.zeros(len(heads.which)), torch.zeros(len(heads.which))
    for row_B in torch.split(torch.randperm(N, generator=draws), batch):
        level_BD = _levels((len(row_B), D), draws)
        feature_BD, label_B = feature_ND[row_B], label_N[row_B]
        for threshold, places in heads.same_dropout():
            kept_BD = _drop(feature_BD, level_BD, threshold)
            for k in places:
                loss, correct = _step(heads, k, kept_BD, label_B)
                loss_K[k] += loss
                correct_K[k] += correct
    return loss_K / N, correct_K / N


def _levels(shape: tuple[int, int], draws: torch.Generator) -> Tensor:
    """Whole numbers in [0, LEVELS), four from each 64 random bits."""
    count = shape[0] * shape[1]
    words = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None, generator=draws)
    return words.view(torch.int16)[:count].view(shape)


def _drop(feature_BD: Tensor, level_BD: Tensor, threshold: int) -> Tensor:
    """Drop what is below the threshold and scale up the rest, so that the mean stays."""
    if threshold == 0:
        return feature_BD
    kept_BD = level_BD >= threshold - LEVELS // 2  # levels are signed 16-bit numbers
    return feature_BD * kept_BD * (LEVELS / (LEVELS - threshold))


def _step(heads: _Heads, k: int, feature_BD: Tensor, label_B: Tensor) -> tuple[float, int]:
    """One step of RMSprop of one head; the minibatch's summed loss, and how many it had right."""
    B = len(label_B)
    log_BC = torch.addmm(heads.bias_KC[k], feature_BD, heads.weight_KDC[k]).log_softmax(dim=1)
    loss = -float(log_BC.gather(1, label_B[:, None]).sum())
    correct = int((log_BC.argmax(dim=1) == label_B).sum())
    error_BC = log_BC.exp_()
    error_BC[torch.arange(B), label_B] -= 1
    error_BC /= B
    rate = float(heads.rate_K[k])
    _rmsprop(heads.weight_KDC[k], heads.square_KDC[k], feature_BD.T @ error_BC, rate)
    _rmsprop(heads.bias_KC[k], heads.square_KC[k], error_BC.sum(dim=0), rate)
    return loss, correct


def _rmsprop(weight: Tensor, square: Tensor, gradient: Tensor, rate: float) -> None:
    """Keras's form: epsilon inside the root. All in place; `gradient` is used up."""
    square.mul_(RHO).addcmul_(gradient, gradient, value=1 - RHO)
    weight.sub_(gradient.div_(square.add(EPSILON).sqrt_()), alpha=rate)


def _score(heads: _Heads, feature_ND: Tensor, label_N: Tensor) -> tuple[Tensor, Tensor]:
    """Mean loss and accuracy without dropout, for each head."""
    loss_K, accuracy_K = [], []
    for weight_DC, bias_C in zip(heads.weight_KDC, heads.bias_KC, strict=True):
        log_NC = torch.addmm(bias_C, feature_ND, weight_DC).log_softmax(dim=1)
        loss_K.append(-log_NC.gather(1, label_N[:, None]).mean(dtype=torch.float64))
        accuracy_K.append((log_NC.argmax(dim=1) == label_N).double().mean())
    return torch.stack(loss_K), torch.stack(accuracy_K)
