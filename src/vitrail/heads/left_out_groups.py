"""The residuals that rows have under a linear fit without their whole group, exactly, from one fit with all rows.

With the hat matrix H of the fit, the residuals of the rows G of a group become (I - H_GG)^-1 e_G when the fit leaves
the group out (Cook and Weisberg 1982, section 3.2). H is F F^T, and a group with more rows than F has columns is
solved by the columns: (I - F F^T)^-1 = I + F (I - F^T F)^-1 F^T.

Letters: N rows, M rows of a group, G groups of one size, A columns of the factor, C classes.
"""

import torch
from torch import Tensor

MOST_LEVERAGE = 1 - 1e-6  # what a group alone decides says nothing when it is left out
NUMBERS_AT_ONCE = 2**23  # float64, 64 MB


def leave_out_groups(residual_NC: Tensor, factor_NA: Tensor, group_N: Tensor) -> Tensor:
    """The residual of each row under the fit without its group, N x C, float64.

    Args:
        residual_NC: under the fit with all rows, float64.
        factor_NA: the hat matrix is this matrix times its transpose; float64.
        group_N: the number of each row's group.
    """
    A = factor_NA.shape[1]
    left_out_NC = torch.empty_like(residual_NC)
    place_N = torch.argsort(group_N, stable=True)
    _, size_G = torch.unique_consecutive(group_N[place_N], return_counts=True)
    start_G = torch.cumsum(size_G, 0) - size_G
    for M in torch.unique(size_G).tolist():
        row_GM = place_N[start_G[size_G == M, None] + torch.arange(M)]
        for some_GM in torch.split(row_GM, max(1, NUMBERS_AT_ONCE // (max(M, A) * A))):
            left_out_NC[some_GM] = _solve(residual_NC[some_GM], factor_NA[some_GM])
    return left_out_NC


def _solve(residual_GMC: Tensor, factor_GMA: Tensor) -> Tensor:
    """(I - F F^T)^-1 e for each of some groups of one size."""
    _, M, A = factor_GMA.shape
    if M <= A:
        return _invert(factor_GMA @ factor_GMA.mT, residual_GMC)
    return residual_GMC + factor_GMA @ _invert(factor_GMA.mT @ factor_GMA, factor_GMA.mT @ residual_GMC)


def _invert(gram: Tensor, right: Tensor) -> Tensor:
    """(I - gram)^-1 right, for symmetric matrices whose eigenvalues are between 0 and 1."""
    value, vector = torch.linalg.eigh(gram)
    solution: Tensor = vector @ ((vector.mT @ right) / (1 - value.clamp_max(MOST_LEVERAGE))[..., None])
    return solution
