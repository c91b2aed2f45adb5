"""Heads that are trained epoch by epoch: one softmax layer as in the deck, or a perceptron with one hidden layer.

Dropout on the features, RMSprop, SGD or AdamW, early stopping. K heads of one form (`stacks.py`) are trained as one
tensor (`batched.py`), each as if it were alone.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.core.errors import UsageError
from vitrail.heads.batched import Batch, Setting, TrainOptions
from vitrail.heads.head import CurvePoint, require_labels
from vitrail.heads.scaling import Scaling, fit_scaling
from vitrail.heads.scores import Linear, Mlp
from vitrail.heads.stacks import MlpStack, SoftmaxStack, Stack

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


@dataclass(slots=True)
class EarlyStopping:
    """Counts epochs without a new least loss, as Keras's EarlyStopping. A loss that is not a number never is least."""

    patience: int
    best_epoch: int = 0
    best_loss: float = math.inf

    def improved(self, epoch: int, loss: float) -> bool:
        """Record the val loss of an epoch, counted from 1; True if it is the least so far."""
        if not loss < self.best_loss:
            return False
        self.best_epoch, self.best_loss = epoch, loss
        return True

    def exhausted(self, epoch: int) -> bool:
        """Whether `patience` epochs have passed since the best one."""
        return epoch - self.best_epoch >= self.patience


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
    """Train one head a setting, all together, and give the fits in the order of the settings.

    Args:
        train: N x D features, unscaled, and N class indices.
        val: likewise; a head stops after `patience` epochs without a lesser val loss and gets its best weights back.
            Without a val all epochs are trained and no curve is returned. The weights are then the mean over the last
            third of the epochs (Polyak & Juditsky 1992): those of one epoch depend on chance in its minibatches.
        classes: the number of classes.
        settings: one for each head, all with the same number of hidden units.
        options: shared by all heads.
        class_weights: the losses of each class's examples are multiplied by its weight, in training and on val; None is
            1 for all.
        dtype: of weights and memory.

    Raises:
        UsageError: the settings have different numbers of hidden units.
        DataError: a row has no label in [0, classes).
    """
    training = HeadTraining(
        train, val, classes=classes, settings=settings, options=options, class_weights=class_weights, dtype=dtype
    )
    training.advance(options.epochs)
    return training.fits()


class HeadTraining:
    """`fit_heads` step by step, for a search that stops some heads early. The steps do not change the heads."""

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
            raise UsageError(f"Heads trained together need the same number of hidden units, but got {sorted(widths)}.")
        require_labels(*train, classes)
        self._scaling = fit_scaling(train[0], options.scaling)
        self._val = None
        if val is not None:
            require_labels(*val, classes)
            self._val = self._tensors(val, dtype)
        self._settings = settings
        self._stack = _stack(len(settings), train[0].shape[1], widths.pop(), classes, options.seed, dtype)
        self._best = [tensor.clone() for tensor in self._stack.parameters]
        self._curves: list[list[CurvePoint]] = [[] for _ in settings]
        self._stops = [EarlyStopping(patience=options.patience) for _ in settings]
        self._epoch = 0
        self._average_from = options.epochs - options.epochs // 3  # without a val
        train_rows = self._tensors(train, torch.bfloat16 if options.precision == "bfloat16" else dtype)
        weight_C = None if class_weights is None else torch.from_numpy(class_weights).to(dtype)
        self._batch = Batch(self._stack, settings, train_rows, options, weight_C)

    @property
    def going(self) -> list[int]:
        """The numbers of the heads that are still trained."""
        return sorted(self._batch.heads)

    def advance(self, epochs: int) -> None:
        """Continue training until every head has stopped or this many epochs have passed."""
        for _ in range(epochs):
            if not self._batch.heads:
                return
            self._epoch += 1
            figures = self._batch.train_epoch(self._epoch)
            if self._val is None:
                self._average()
            else:
                self._judge(*figures, *self._batch.score(*self._val))
                self.keep([k for k in self._batch.heads if not self._stops[k].exhausted(self._epoch)])

    def keep(self, heads: Sequence[int]) -> None:
        """Go on with these alone; the others stay as they are now."""
        self._batch.keep(set(heads))

    def fits(self) -> list[TrainedFit]:
        """Every head, the stopped ones too: at its best epoch so far on val, or without a val as averaged so far."""
        return [
            TrainedFit(
                setting=setting,
                scaling=self._scaling,
                scores=self._stack.scores([tensor[k].double().numpy().copy() for tensor in self._best]),
                epochs=self._epoch if self._val is None else self._stops[k].best_epoch,
                curve=tuple(self._curves[k]),
            )
            for k, setting in enumerate(self._settings)
        ]

    def _judge(self, *figure_K: Tensor) -> None:
        """Add a point to the curve of each head that is trained, and keep its parameters if its val loss is least."""
        columns = [figure.tolist() for figure in figure_K]
        for k, train_loss, train_accuracy, val_loss, val_accuracy in zip(self._batch.heads, *columns, strict=True):
            self._curves[k].append(
                CurvePoint(
                    epoch=self._epoch,
                    train_loss=train_loss,
                    val_loss=val_loss,
                    train_accuracy=train_accuracy,
                    val_accuracy=val_accuracy,
                )
            )
            if self._stops[k].improved(self._epoch, val_loss):
                self._remember([k])

    def _average(self) -> None:
        """Take the epoch into the mean of the last third; before that the parameters are those of the epoch."""
        share = 1 / max(1, self._epoch - self._average_from)
        for place, k in enumerate(self._batch.heads):
            for mean, tensor in zip(self._best, self._stack.parameters, strict=True):
                mean[k].lerp_(tensor[place], share)

    def _remember(self, heads: Iterable[int]) -> None:
        """Copy the parameters of some heads that are in the batch; `_best` is in the order of the settings."""
        for k in heads:
            place = self._batch.heads.index(k)
            for best, tensor in zip(self._best, self._stack.parameters, strict=True):
                best[k] = tensor[place]

    def _tensors(self, rows: Labelled, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Scaled features and labels."""
        return torch.from_numpy(self._scaling.apply(rows[0])).to(dtype), torch.from_numpy(rows[1])


def _stack(heads: int, features: int, hidden: int, classes: int, seed: int, dtype: torch.dtype) -> Stack:
    if hidden:
        return MlpStack(heads, features, hidden, classes, seed, dtype)
    return SoftmaxStack(heads, features, classes, dtype)
