"""Heads that are trained epoch by epoch: one softmax layer as in the deck, or a perceptron with one hidden layer.

Dropout on the features, RMSprop, SGD or AdamW, early stopping; K heads of one form are trained as one tensor, each as
if it were alone. A form is a stack: `softmax.py`, `mlp.py`; `batched.py` trains it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.core.errors import UsageError
from vitrail.heads.batched import Setting, Stack, Training, TrainOptions
from vitrail.heads.early_stopping import CurvePoint
from vitrail.heads.labels import require_labels
from vitrail.heads.mlp import MlpStack
from vitrail.heads.scaling import Scaling, fit_scaling
from vitrail.heads.scores import Linear, Mlp
from vitrail.heads.softmax import SoftmaxStack

# Letters: N examples, D features, C classes, K heads trained together.

Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedFit:
    """A trained head on scaled features; `epochs` is how many its weights have seen."""

    setting: Setting
    scaling: Scaling
    scores: Linear | Mlp
    epochs: int
    curve: tuple[CurvePoint, ...]

    def logits(self, feature_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of unscaled rows, float64."""
        return self.scores.logits(self.scaling.exact(feature_ND))


def fit_heads(
    train: Labelled,
    val: Labelled | None,
    *,
    classes: int,
    settings: Sequence[Setting],
    options: TrainOptions,
    class_weights: NDArray[np.float64] | None = None,
    dtype: torch.dtype = torch.float32,
) -> list[TrainedFit]:
    """Train one head a setting, all together.

    Args:
        train: N x D features, unscaled, and N class indices.
        val: likewise; a head stops after `patience` epochs without a lesser val loss and gets its best weights back.
            None trains all epochs, without a curve.
        classes: how many there are.
        settings: one for each head; all with as many hidden units.
        options: what the heads share.
        class_weights: of each class, what its examples' losses are multiplied by in training; None is 1 for all.
        dtype: of weights and memory.

    Returns:
        One fit a setting, in their order.
    """
    training = HeadTraining(
        train, val, classes=classes, settings=settings, options=options, class_weights=class_weights, dtype=dtype
    )
    training.advance(options.epochs)
    return training.fits()


class HeadTraining:
    """`fit_heads` step by step, for a search that stops some heads early: the same heads, however it is cut up."""

    def __init__(
        self,
        train: Labelled,
        val: Labelled | None,
        *,
        classes: int,
        settings: Sequence[Setting],
        options: TrainOptions,
        class_weights: NDArray[np.float64] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        widths = {setting.hidden for setting in settings}
        if len(widths) != 1:
            raise UsageError(f"Heads of one training need one number of hidden units, but got {sorted(widths)}.")
        self._settings = settings
        self._scaling, rows = _ready(train, val, classes=classes, options=options, dtype=dtype)
        self._stack = _stack(len(settings), train[0].shape[1], widths.pop(), classes, options.seed, dtype)
        weight_C = None if class_weights is None else torch.from_numpy(class_weights).to(dtype)
        self._training = Training(self._stack, settings, *rows, options, weight_C)

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

    def fits(self) -> list[TrainedFit]:
        """What every head has come to, the stopped ones too: at its best epoch so far, where there is a val."""
        parameters = self._training.parameters()
        return [
            TrainedFit(
                setting=setting,
                scaling=self._scaling,
                scores=self._stack.scores([tensor[k].double().numpy().copy() for tensor in parameters]),
                epochs=self._training.epochs_of(k),
                curve=tuple(self._training.curves[k]),
            )
            for k, setting in enumerate(self._settings)
        ]


def _stack(heads: int, features: int, hidden: int, classes: int, seed: int, dtype: torch.dtype) -> Stack:
    if hidden:
        return MlpStack(heads, features, hidden, classes, seed, dtype)
    return SoftmaxStack(heads, features, classes, dtype)


def _ready(
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
