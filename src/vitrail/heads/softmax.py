"""K softmax heads as one tensor, the deck's: one layer on the features.

As in Keras, but for two departures: weights start at 0 and not at Glorot's noise, since the loss is convex and without
decay the noise would stay in the solution; and losses are taken of the logits, not of probabilities clipped at 1e-7.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.heads.batched import Update
from vitrail.heads.scores import Linear

# Letters: B examples of a minibatch, D features, C classes, K heads trained together, G of them in a group
# (with C rows each: M = G C rows).


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
