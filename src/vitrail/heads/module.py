"""A fitted head as a torch module in float32, to be joined to a network and exported.

`heads.probabilities` computes the same in float64. Every step here exists in ONNX and in OpenVINO.

Letters: B images, D features, C classes, H hidden units, M stored rows.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vitrail.heads.head import Head
from vitrail.heads.refusal import Refusal
from vitrail.heads.scaling import Scaling
from vitrail.heads.scores import AnyScores, Linear, Mlp, Neighbours


class HeadModule(nn.Module):
    """`feature_BD` in; `probability_BC` out: scaled, scored, divided by the temperature, softmax."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.scaling = ScalingModule(head.scaling)
        self.scores = make_scores(head.scores)
        self.temperature = head.temperature

    def forward(self, feature_BD: Tensor) -> Tensor:
        """The probability of every class."""
        logit_BC = self.scores(self.scaling(feature_BD))
        return torch.softmax(logit_BC / self.temperature, dim=-1)


class ScalingModule(nn.Module):
    """`Scaling`: each feature to mean 0 and deviation 1, each row to length sqrt(D), or nothing."""

    mean_D: Tensor
    scale_D: Tensor

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.kind = scaling.kind
        self.register_buffer("mean_D", _tensor(scaling.mean_D))
        self.register_buffer("scale_D", _tensor(scaling.scale_D))

    def forward(self, feature_BD: Tensor) -> Tensor:
        """The scaled rows."""
        if self.kind == "none":
            return feature_BD
        if self.kind == "l2":
            return unit(feature_BD) * math.sqrt(feature_BD.shape[1])
        return (feature_BD - self.mean_D) / self.scale_D


class LinearModule(nn.Module):
    """`Linear`: logistic, ridge, softmax and centroid heads."""

    weight_CD: Tensor
    bias_C: Tensor

    def __init__(self, scores: Linear) -> None:
        super().__init__()
        self.register_buffer("weight_CD", _tensor(scores.weight_CD))
        self.register_buffer("bias_C", _tensor(scores.bias_C))

    def forward(self, scaled_BD: Tensor) -> Tensor:
        """The score of every class."""
        return nn.functional.linear(scaled_BD, self.weight_CD, self.bias_C)


class MlpModule(nn.Module):
    """`Mlp`: one hidden layer with ReLU."""

    hidden_weight_HD: Tensor
    hidden_bias_H: Tensor
    weight_CH: Tensor
    bias_C: Tensor

    def __init__(self, scores: Mlp) -> None:
        super().__init__()
        self.register_buffer("hidden_weight_HD", _tensor(scores.hidden_weight_HD))
        self.register_buffer("hidden_bias_H", _tensor(scores.hidden_bias_H))
        self.register_buffer("weight_CH", _tensor(scores.weight_CH))
        self.register_buffer("bias_C", _tensor(scores.bias_C))

    def forward(self, scaled_BD: Tensor) -> Tensor:
        """The score of every class."""
        hidden_BH = torch.relu(nn.functional.linear(scaled_BD, self.hidden_weight_HD, self.hidden_bias_H))
        return nn.functional.linear(hidden_BH, self.weight_CH, self.bias_C)


class NeighboursModule(nn.Module):
    """`Neighbours`: the k rows with the greatest cosine vote. Rows are training images: the module stores them."""

    row_MD: Tensor
    label_M: Tensor
    vote_weight_M: Tensor
    prior_C: Tensor

    def __init__(self, scores: Neighbours) -> None:
        super().__init__()
        self.k, self.width = int(scores.k_1[0]), float(scores.width_1[0])
        self.register_buffer("row_MD", _tensor(scores.row_MD))
        self.register_buffer("label_M", torch.from_numpy(scores.label_M.astype(np.int64)))
        self.register_buffer("vote_weight_M", _tensor(scores.class_weight_C[scores.label_M]))
        self.register_buffer("prior_C", _tensor(scores.prior_C))

    def forward(self, scaled_BD: Tensor) -> Tensor:
        """The log of every class's share of the votes."""
        cosine_Bk, row_Bk = (unit(scaled_BD) @ self.row_MD.T).topk(self.k, dim=1)
        vote_Bk = torch.exp((cosine_Bk - cosine_Bk[:, :1]) / self.width) * self.vote_weight_M[row_Bk]
        share_Bk = vote_Bk / vote_Bk.sum(dim=1, keepdim=True)
        # (B, C) of zeros, with B from a tensor: a size that is read from a shape may become a constant of the graph.
        none_BC = scaled_BD[:, :1] * torch.zeros_like(self.prior_C)
        share_BC = none_BC.scatter_add(1, self.label_M[row_Bk], share_Bk)
        return torch.log((self.k * share_BC + self.prior_C) / (self.k + 1))


class StrangenessModule(nn.Module):
    """`feature_BD` in, `distance_B` out: the cosine distance to the k-th nearest row of a refusal's bank."""

    bank_BD: Tensor

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.neighbours = refusal.neighbours
        self.register_buffer("bank_BD", _tensor(refusal.bank_BD))

    def forward(self, feature_BD: Tensor) -> Tensor:
        """The distance of each image."""
        nearest_Bk = (unit(feature_BD) @ self.bank_BD.T).topk(self.neighbours, dim=1).values
        return 1 - nearest_Bk[:, -1]


class AnswerModule(nn.Module):
    """`feature_BD` in; `probability_BC` and `distance_B` out."""

    def __init__(self, head: Head, refusal: Refusal) -> None:
        super().__init__()
        self.head, self.strangeness = HeadModule(head), StrangenessModule(refusal)

    def forward(self, feature_BD: Tensor) -> tuple[Tensor, Tensor]:
        """What the head says of each image, and how far it is from the training images."""
        return self.head(feature_BD), self.strangeness(feature_BD)


def make_scores(scores: AnyScores) -> nn.Module:
    """The module of a head's form."""
    match scores:
        case Linear():
            return LinearModule(scores)
        case Mlp():
            return MlpModule(scores)
        case Neighbours():
            return NeighboursModule(scores)


def unit(row_BD: Tensor) -> Tensor:
    """Rows brought to length 1; a row of zeros stays."""
    length_B1 = row_BD.square().sum(dim=1, keepdim=True).sqrt()
    return row_BD / torch.where(length_B1 == 0, torch.ones_like(length_B1), length_B1)


def _tensor(array: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32).copy())
