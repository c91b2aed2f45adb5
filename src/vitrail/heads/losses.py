"""Losses, hits and gradients of many heads from their scores, in as few passes over the scores as torch allows.

The gradient in the score of a row's own class is -(what the other classes have together) and not p - 1, which is the
same: in bfloat16 a probability that is nearly 1 has no digits left for its difference to 1.
"""

import torch
from torch import Tensor

# Letters: B examples, C classes, G heads, P = C B places of a head's scores.


def losses(score_GCB: Tensor, label_B: Tensor, weight_B: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Cross entropy of softmax scores with its gradient.

    Args:
        score_GCB: scores, in float64, float32 or bfloat16.
        label_B: class indices.
        weight_B: what each example's loss is multiplied by; None is 1 for all.

    Returns:
        For each head the summed losses (nats) and how many rows are right: those where no other class is as probable as
        their own. And the gradient of the summed losses in the scores, in their precision.
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
