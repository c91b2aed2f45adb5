"""A small multilayer perceptron on features: one hidden layer, K of them trained as one tensor as softmax heads are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.core.errors import UsageError
from vitrail.heads.batched import Training, TrainOptions, Update
from vitrail.heads.early_stopping import CurvePoint
from vitrail.heads.optimisers import OptimiserName
from vitrail.heads.scaling import Scaling
from vitrail.heads.scores import Mlp
from vitrail.heads.softmax import Labelled, ready

# Letters: B examples of a minibatch, D features, H hidden units, C classes, K heads together, G of them in a group
# (with H rows each: M = G H rows).


@dataclass(frozen=True, kw_only=True, slots=True)
class MlpSetting:
    """What differs from head to head; `dropout` is of the features, as in the softmax head; `hidden` counts units."""

    learning_rate: float
    dropout: float
    hidden: int = 256
    optimiser: OptimiserName = "adamw"
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise UsageError(f"A multilayer perceptron needs at least one hidden unit, but got {self}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class MlpFit:
    """A trained head on scaled features; `epochs` is how many its weights have seen."""

    setting: MlpSetting
    scaling: Scaling
    scores: Mlp
    epochs: int
    curve: tuple[CurvePoint, ...]

    @property
    def weight_CD(self) -> NDArray[np.float64]:  # noqa: N802
        """What a row for which every unit is active is multiplied by: its length tells how regularised a head is."""
        return np.asarray(self.scores.weight_CH @ self.scores.hidden_weight_HD, dtype=np.float64)

    def logits(self, feature_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of unscaled rows, float64."""
        return self.scores.logits(self.scaling.exact(feature_ND))


def fit_mlps(
    train: Labelled,
    val: Labelled | None,
    *,
    classes: int,
    settings: Sequence[MlpSetting],
    options: TrainOptions,
    class_weights: NDArray[np.float64] | None = None,
    dtype: torch.dtype = torch.float32,
) -> list[MlpFit]:
    """Train one head a setting, all of one width together.

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
    fits: dict[int, MlpFit] = {}
    order = sorted(range(len(settings)), key=lambda place: settings[place].hidden)
    for _, alike in groupby(order, key=lambda place: settings[place].hidden):
        places = list(alike)
        training = MlpTraining(
            train,
            val,
            classes=classes,
            settings=[settings[place] for place in places],
            options=options,
            class_weights=class_weights,
            dtype=dtype,
        )
        training.advance(options.epochs)
        fits |= dict(zip(places, training.fits(), strict=True))
    return [fits[place] for place in range(len(settings))]


class MlpTraining:
    """`fit_mlps` step by step, for heads with as many hidden units as each other."""

    def __init__(
        self,
        train: Labelled,
        val: Labelled | None,
        *,
        classes: int,
        settings: Sequence[MlpSetting],
        options: TrainOptions,
        class_weights: NDArray[np.float64] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        widths = {setting.hidden for setting in settings}
        if len(widths) != 1:
            raise UsageError(f"Perceptrons of one training need one number of hidden units, but got {sorted(widths)}.")
        self._settings = settings
        self._scaling, rows = ready(train, val, classes=classes, options=options, dtype=dtype)
        stack = _MlpStack(len(settings), train[0].shape[1], widths.pop(), classes, options.seed, dtype)
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

    def fits(self) -> list[MlpFit]:
        """What every head has come to, the stopped ones too."""
        parameters = self._training.parameters()
        return [
            MlpFit(
                setting=setting,
                scaling=self._scaling,
                scores=Mlp(
                    **{
                        name: tensor[k].double().numpy().copy()
                        for name, tensor in zip(_FIELDS, parameters, strict=True)
                    }
                ),
                epochs=self._training.epochs_of(k),
                curve=tuple(self._training.curves[k]),
            )
            for k, setting in enumerate(self._settings)
        ]


_FIELDS = ("hidden_weight_HD", "hidden_bias_H", "weight_CH", "bias_C")  # of `Mlp`, in the order of the stack


class _MlpStack:
    """score = V relu(W x + a) + b, of K heads that all start from the same draw (He et al. 2015, arXiv:1502.01852)."""

    def __init__(self, heads: int, features: int, hidden: int, classes: int, seed: int, dtype: torch.dtype) -> None:
        draws = np.random.default_rng([seed, hidden])
        weight_HD = torch.from_numpy(draws.normal(0, (2 / features) ** 0.5, (hidden, features))).to(dtype)
        weight_CH = torch.from_numpy(draws.normal(0, (1 / hidden) ** 0.5, (classes, hidden))).to(dtype)
        self.parameters = [
            weight_HD.repeat(heads, 1, 1),
            torch.zeros(heads, hidden, dtype=dtype),
            weight_CH.repeat(heads, 1, 1),
            torch.zeros(heads, classes, dtype=dtype),
        ]
        self._active_GHB = torch.empty(0)

    def score(self, heads: slice, feature_BD: Tensor, scale: float) -> Tensor:
        hidden_weight_GHD, hidden_bias_GH, weight_GCH, bias_GC = (tensor[heads] for tensor in self.parameters)
        before_MB = hidden_weight_GHD.flatten(0, 1).to(feature_BD.dtype) @ feature_BD.T
        before_GHB = before_MB.view(*hidden_bias_GH.shape, -1).to(bias_GC.dtype)
        self._active_GHB = torch.add(hidden_bias_GH[:, :, None], before_GHB, alpha=scale).relu_()
        return torch.baddbmm(bias_GC[:, :, None], weight_GCH, self._active_GHB)

    def gradients(self, heads: slice, feature_BD: Tensor, error_GCB: Tensor, scale: float) -> Iterator[Update]:
        active_GHB = self._active_GHB
        hidden_GHB = (self.parameters[2][heads].mT @ error_GCB).masked_fill_(active_GHB == 0, 0)
        G, H, B = hidden_GHB.shape
        yield Update(2, error_GCB @ active_GHB.mT, 1 / B, decays=True)
        yield Update(3, error_GCB.sum(dim=2), 1 / B, decays=False)
        yield Update(1, hidden_GHB.sum(dim=2), 1 / B, decays=False)
        hidden_MB = hidden_GHB.flatten(0, 1).to(feature_BD.dtype)
        yield Update(0, (hidden_MB @ feature_BD).view(G, H, -1), scale / B, decays=True)
