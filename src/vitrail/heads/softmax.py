"""The softmax head of the deck: dropout on the features, RMSprop, early stopping; K of them trained as one tensor.

As in Keras, but for two departures: weights start at 0 and not at Glorot's noise, since the loss is convex and without
decay the noise would stay in the solution; and losses are taken of the logits, not of probabilities clipped at 1e-7.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.heads.batched import Training, TrainOptions, Update
from vitrail.heads.early_stopping import CurvePoint
from vitrail.heads.labels import require_labels
from vitrail.heads.optimisers import OptimiserName
from vitrail.heads.scaling import Scaling, fit_scaling
from vitrail.heads.scores import Linear

# Letters: B examples of a minibatch, D features, C classes, K heads trained together, G of them in a group
# (with C rows each: M = G C rows).

Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftmaxSetting:
    """What differs from head to head.

    `dropout` is the fraction of features dropped, in [0, 1); `weight_decay` is decoupled: see `optimisers.py`.
    """

    learning_rate: float
    dropout: float
    optimiser: OptimiserName = "rmsprop"
    weight_decay: float = 0.0


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


def fit_heads(
    train: Labelled,
    val: Labelled | None,
    *,
    classes: int,
    settings: Sequence[SoftmaxSetting],
    options: TrainOptions,
    class_weights: NDArray[np.float64] | None = None,
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
        class_weights: of each class, what its examples' losses are multiplied by in training; None is 1 for all.
        dtype: of weights and memory.

    Returns:
        One fit a setting, in their order.
    """
    training = SoftmaxTraining(
        train, val, classes=classes, settings=settings, options=options, class_weights=class_weights, dtype=dtype
    )
    training.advance(options.epochs)
    return training.fits()


class SoftmaxTraining:
    """`fit_heads` step by step, for a search that stops some heads early: the same heads, however it is cut up."""

    def __init__(
        self,
        train: Labelled,
        val: Labelled | None,
        *,
        classes: int,
        settings: Sequence[SoftmaxSetting],
        options: TrainOptions,
        class_weights: NDArray[np.float64] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._settings = settings
        self._scaling, rows = ready(train, val, classes=classes, options=options, dtype=dtype)
        stack = _SoftmaxStack(len(settings), train[0].shape[1], classes, dtype)
        weight_C = None if class_weights is None else torch.from_numpy(class_weights).to(dtype)
        self._training = Training(stack, settings, *rows, options, weight_C)

    @property
    def going(self) -> list[int]:
        """The places of the heads that have not stopped and were kept."""
        return self._training.going

    def advance(self, epochs: int) -> None:
        """Train on, until every head has stopped by itself or this many epochs have passed."""
        self._training.advance(epochs)

    def keep(self, heads: Sequence[int]) -> None:
        """Go on with these alone."""
        self._training.keep(heads)

    def fits(self) -> list[SoftmaxFit]:
        """What every head has come to, the stopped ones too."""
        weight_KCD, bias_KC = self._training.parameters()
        return [
            SoftmaxFit(
                setting=setting,
                scaling=self._scaling,
                weight_CD=weight_KCD[k].double().numpy().copy(),
                bias_C=bias_KC[k].double().numpy().copy(),
                epochs=self._training.epochs_of(k),
                curve=tuple(self._training.curves[k]),
            )
            for k, setting in enumerate(self._settings)
        ]


def ready(
    train: Labelled, val: Labelled | None, *, classes: int, options: TrainOptions, dtype: torch.dtype
) -> tuple[Scaling, tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor] | None]]:
    """Rows checked and scaled, as tensors: train in the precision of the products, val in that of the weights."""
    require_labels(*train, classes)
    scaling = fit_scaling(train[0], options.scaling)
    product_dtype = torch.bfloat16 if options.precision == "bfloat16" else dtype
    train_rows = torch.from_numpy(scaling.apply(train[0])).to(product_dtype), torch.from_numpy(train[1])
    if val is None:
        return scaling, (train_rows, None)
    require_labels(*val, classes)
    return scaling, (train_rows, (torch.from_numpy(scaling.apply(val[0])).to(dtype), torch.from_numpy(val[1])))


class _SoftmaxStack:
    """score = W x + b, of K heads."""

    def __init__(self, heads: int, features: int, classes: int, dtype: torch.dtype) -> None:
        self.parameters = [torch.zeros(heads, classes, features, dtype=dtype), torch.zeros(heads, classes, dtype=dtype)]

    def score(self, heads: slice, feature_BD: Tensor, scale: float) -> Tensor:
        weight_MD, bias_M = (tensor[heads].flatten(0, 1).to(feature_BD.dtype) for tensor in self.parameters)
        score_MB = torch.addmm(bias_M[:, None], weight_MD, feature_BD.T, alpha=scale)
        return score_MB.view(*self.parameters[1][heads].shape, -1)

    def gradients(self, heads: slice, feature_BD: Tensor, error_GCB: Tensor, scale: float) -> Iterator[Update]:
        del heads
        G, C, B = error_GCB.shape
        yield Update(1, error_GCB.sum(dim=2), 1 / B, decays=False)
        error_MB = error_GCB.flatten(0, 1).to(feature_BD.dtype)
        yield Update(0, (error_MB @ feature_BD).view(G, C, -1), scale / B, decays=True)
