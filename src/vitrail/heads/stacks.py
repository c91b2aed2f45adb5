"""Heads trained together as one tensor: a softmax layer each, or a perceptron with one hidden layer each.

Softmax heads are the deck's. They follow Keras with two differences: weights start at 0 instead of Glorot's noise,
since the loss is convex and without decay the noise would stay in the solution; and losses use the logits instead of
probabilities clipped at 1e-7.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.heads.scores import Linear, Mlp

# Letters: B examples of a minibatch, D features, H hidden units, C classes, K heads trained together, G of them in a
# group (with C or H rows each: M = G C or G H rows), P = C B places of a head's scores.


@dataclass(frozen=True, slots=True)
class Update:
    """`factor` x `gradient` is the gradient of parameter `number` of a group. Only weights decay, biases do not."""

    number: int
    gradient: Tensor
    factor: float
    decays: bool


class Stack(Protocol):
    """K heads of one kind. `parameters` are tensors whose first axis is K. Threads work at different heads."""

    parameters: list[Tensor]

    def score(self, heads: slice, feature_BD: Tensor, scale: float) -> Tensor:
        """Scores of some heads on rows times `scale`, G x C x B; products in the precision of the rows."""

    def gradients(self, heads: slice, feature_BD: Tensor, error_GCB: Tensor, scale: float) -> Iterable[Update]:
        """From B times the gradient of the scores just given. Weights are read before the first update, not after."""

    def scores(self, parameters: Sequence[NDArray[np.float64]]) -> Linear | Mlp:
        """What a `Head` keeps of one head's parameters."""


class SoftmaxStack:
    """score = W x + b, of K heads."""

    def __init__(self, heads: int, features: int, classes: int, dtype: torch.dtype) -> None:
        self.parameters = [torch.zeros(heads, classes, features, dtype=dtype), torch.zeros(heads, classes, dtype=dtype)]

    def score(self, heads: slice, feature_BD: Tensor, scale: float) -> Tensor:
        """See `Stack`."""
        weight_MD, bias_M = (tensor[heads].flatten(0, 1).to(feature_BD.dtype) for tensor in self.parameters)
        score_MB = torch.addmm(bias_M[:, None], weight_MD, feature_BD.T, alpha=scale)
        return score_MB.view(*self.parameters[1][heads].shape, -1)

    def gradients(self, heads: slice, feature_BD: Tensor, error_GCB: Tensor, scale: float) -> Iterator[Update]:
        """See `Stack`."""
        del heads
        G, C, B = error_GCB.shape
        yield Update(1, error_GCB.sum(dim=2), 1 / B, decays=False)
        error_MB = error_GCB.flatten(0, 1).to(feature_BD.dtype)
        yield Update(0, (error_MB @ feature_BD).view(G, C, -1), scale / B, decays=True)

    def scores(self, parameters: Sequence[NDArray[np.float64]]) -> Linear:
        """See `Stack`."""
        return Linear(weight_CD=parameters[0], bias_C=parameters[1])


class MlpStack:
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
        self._active_GHB: dict[int, Tensor] = {}  # of the last scores, by the first head of a group

    def score(self, heads: slice, feature_BD: Tensor, scale: float) -> Tensor:
        """See `Stack`."""
        hidden_weight_GHD, hidden_bias_GH, weight_GCH, bias_GC = (tensor[heads] for tensor in self.parameters)
        before_MB = hidden_weight_GHD.flatten(0, 1).to(feature_BD.dtype) @ feature_BD.T
        before_GHB = before_MB.view(*hidden_bias_GH.shape, -1).to(bias_GC.dtype)
        active_GHB = torch.add(hidden_bias_GH[:, :, None], before_GHB, alpha=scale).relu_()
        self._active_GHB[heads.start] = active_GHB
        return torch.baddbmm(bias_GC[:, :, None], weight_GCH, active_GHB)

    def gradients(self, heads: slice, feature_BD: Tensor, error_GCB: Tensor, scale: float) -> Iterator[Update]:
        """See `Stack`."""
        active_GHB = self._active_GHB.pop(heads.start)
        hidden_GHB = (self.parameters[2][heads].mT @ error_GCB).masked_fill_(active_GHB == 0, 0)
        G, H, B = hidden_GHB.shape
        yield Update(2, error_GCB @ active_GHB.mT, 1 / B, decays=True)
        yield Update(3, error_GCB.sum(dim=2), 1 / B, decays=False)
        yield Update(1, hidden_GHB.sum(dim=2), 1 / B, decays=False)
        hidden_MB = hidden_GHB.flatten(0, 1).to(feature_BD.dtype)
        yield Update(0, (hidden_MB @ feature_BD).view(G, H, -1), scale / B, decays=True)

    def scores(self, parameters: Sequence[NDArray[np.float64]]) -> Mlp:
        """See `Stack`."""
        hidden_weight_HD, hidden_bias_H, weight_CH, bias_C = parameters
        return Mlp(hidden_weight_HD=hidden_weight_HD, hidden_bias_H=hidden_bias_H, weight_CH=weight_CH, bias_C=bias_C)


def losses(score_GCB: Tensor, label_B: Tensor, weight_B: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Cross entropy of softmax scores with its gradient, in as few passes over the scores as torch allows.

    The gradient in the score of a row's own class is -(sum of the other classes' probabilities) and not p - 1, which is
    the same: in bfloat16 a probability that is nearly 1 has no digits left for its difference to 1.

    Args:
        score_GCB: scores, in float64, float32 or bfloat16.
        label_B: class indices.
        weight_B: each example's loss is multiplied by its weight; None is 1 for all.

    Returns:
        For each head the summed losses (nats) and the number of right rows: a row is right if no other class is as
        probable as its own. And the gradient of the summed losses in the scores, in their precision.
    """
    B = len(label_B)
    probability_GCB = score_GCB.softmax(dim=1)
    flat_GP, place_B = probability_GCB.view(len(score_GCB), -1), label_B * B + torch.arange(B)
    own_GB = flat_GP.index_select(1, place_B).to(torch.promote_types(score_GCB.dtype, torch.float32))
    flat_GP.index_fill_(1, place_B, 0)
    right_GB = own_GB > probability_GCB.amax(dim=1)
    # scatter_ would copy all probabilities, and argmax takes six times as long as amax.
    flat_GP.index_copy_(1, place_B, probability_GCB.sum(dim=1).neg_())
    loss_GB = own_GB.clamp_min_(torch.finfo(own_GB.dtype).tiny).log_().neg_()
    if weight_B is not None:
        loss_GB.mul_(weight_B)
        probability_GCB.mul_(weight_B)
    return loss_GB.sum(dim=1), right_GB.sum(dim=1), probability_GCB
