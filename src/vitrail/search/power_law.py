"""The power law with an end that learning curves follow: error = a + b n^-c, a and b at least 0."""

import numpy as np
from numpy.typing import NDArray

# Letters: R curves, P points of each, E exponents tried, Q numbers to look up.

EXPONENTS = np.linspace(0.1, 1.5, 29)


def fit_power_law(images_P: NDArray[np.float64], error_RP: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares for many curves at once: for each exponent of a grid the best a and b are known in closed form.

    Args:
        images_P: how many images, each above 0.
        error_RP: the error with so many.

    Returns:
        R x 3: a, b and c of each curve. b is of images counted in units of the greatest number.
    """
    x_EP = (images_P / images_P[-1])[None] ** -EXPONENTS[:, None]
    centred_EP = x_EP - x_EP.mean(axis=1, keepdims=True)
    mean_R = error_RP.mean(axis=1)
    b_RE = error_RP @ centred_EP.T / (centred_EP**2).sum(axis=1)
    a_RE = mean_R[:, None] - b_RE * x_EP.mean(axis=1)
    # Where the best would lie outside, it lies on the border: a = 0, or b = 0.
    through_RE = error_RP @ x_EP.T / (x_EP**2).sum(axis=1)
    b_RE = np.where(a_RE < 0, through_RE, b_RE)
    a_RE = np.where(a_RE < 0, 0.0, a_RE)
    a_RE, b_RE = np.where(b_RE < 0, mean_R[:, None], a_RE), np.maximum(b_RE, 0.0)
    missed_REP = a_RE[..., None] + b_RE[..., None] * x_EP - error_RP[:, None]
    best_R = (missed_REP**2).sum(axis=2).argmin(axis=1)
    R = np.arange(len(error_RP))
    return np.column_stack([a_RE[R, best_R], b_RE[R, best_R], EXPONENTS[best_R]])


def power_law(law_R3: NDArray[np.float64], images_Q: NDArray[np.float64], *, unit: float) -> NDArray[np.float64]:
    """The error of each curve with so many images, R x Q; `unit` is the greatest number that was fitted to."""
    a_R1, b_R1, c_R1 = law_R3.T[..., None]
    result: NDArray[np.float64] = a_R1 + b_R1 * (images_Q / unit)[None] ** -c_R1
    return result
