"""K small multilayer perceptrons on features as one tensor: one hidden layer."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.heads.batched import Update
from vitrail.heads.scores import Mlp

# Letters: B examples of a minibatch, D features, H hidden units, C classes, K heads together, G of them in a group
# (with H rows each: M = G H rows).


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
