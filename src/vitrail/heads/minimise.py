"""L-BFGS for smooth convex functions, starting from a given diagonal (Nocedal & Wright 2006, section 7.5)."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Letters: P parameters.

MEMORY = 10
DECREASE = 1e-4  # Armijo's constant
FLATTEN = 0.9  # Wolfe's constant, for steps whose decrease is lost in rounding
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-13}  # of a value, relative
HALVINGS = 25
IDLE = 10  # steps in a row without a gain beyond rounding: further ones would go in circles

Objective = Callable[[Tensor], tuple[float, Tensor]]


@dataclass(frozen=True, slots=True)
class Minimum:
    """The last point; `reached` says whether its gradient passed the test. `passes` counts evaluations."""

    point_P: Tensor
    gradient_P: Tensor
    passes: int
    reached: bool


def minimise(
    objective: Objective,
    start_P: Tensor,
    *,
    curvature_P: Tensor,
    reached: Callable[[Tensor], bool],
    most_passes: int,
) -> Minimum:
    """Go down until the gradient passes the test, or no step goes further down than rounding.

    Args:
        objective: value and gradient at a point; the gradient is a new tensor at every call.
        start_P: float32 or float64.
        curvature_P: positive; about the diagonal of the Hessian.
        reached: the test of the gradient.
        most_passes: evaluations before giving up.
    """
    point_P = start_P.clone()
    value, gradient_P = objective(point_P)
    passes = 1
    pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=MEMORY)
    least, flattest, idle = value, float(gradient_P.norm()), 0
    while not (done := reached(gradient_P)) and passes < most_passes and idle < IDLE:
        direction_P = _direction(gradient_P, pairs, curvature_P)
        slope = float(direction_P @ gradient_P)
        step = 1.0
        for _ in range(HALVINGS):
            next_P = torch.add(point_P, direction_P, alpha=step)
            next_value, next_gradient_P = objective(next_P)
            passes += 1
            next_slope = float(direction_P @ next_gradient_P)
            if _acceptable(value, next_value, step, slope, next_slope, ROUNDING[point_P.dtype]):
                break
            step *= _shrink(slope, next_slope)
        else:
            return Minimum(point_P, gradient_P, passes, reached=False)
        moved_P, turned_P = next_P - point_P, next_gradient_P - gradient_P
        if (product := float(moved_P @ turned_P)) > 0:
            pairs.append((moved_P, turned_P, product))
        point_P, value, gradient_P = next_P, next_value, next_gradient_P
        length = float(gradient_P.norm())
        lower = value < least - ROUNDING[point_P.dtype] * abs(least)
        idle = 0 if lower or length < FLATTEN * flattest else idle + 1
        least, flattest = min(least, value), min(flattest, length)
    return Minimum(point_P, gradient_P, passes, reached=done)


def _direction(gradient_P: Tensor, pairs: deque[tuple[Tensor, Tensor, float]], curvature_P: Tensor) -> Tensor:
    """Minus the inverse Hessian, approximated from the pairs, times the gradient."""
    left_P = gradient_P.clone()
    weights = []
    for moved_P, turned_P, product in reversed(pairs):
        weight = float(moved_P @ left_P) / product
        left_P.sub_(turned_P, alpha=weight)
        weights.append(weight)
    left_P.div_(curvature_P)
    if pairs:
        _, turned_P, product = pairs[-1]
        left_P.mul_(product / float(turned_P @ (turned_P / curvature_P)))
    for (moved_P, turned_P, product), weight in zip(pairs, reversed(weights), strict=True):
        left_P.add_(moved_P, alpha=weight - float(turned_P @ left_P) / product)
    return left_P.neg_()


def _acceptable(value: float, next_value: float, step: float, slope: float, next_slope: float, rounding: float) -> bool:
    """Armijo's test; if the decrease is lost in rounding, the slope decides (Hager & Zhang 2005)."""
    if next_value <= value + DECREASE * step * slope:
        return True
    return next_value <= value + rounding * abs(value) and abs(next_slope) <= FLATTEN * abs(slope)


def _shrink(slope: float, next_slope: float) -> float:
    """How much to shorten a step: to where the slope would be 0 if it changed evenly, within [0.1, 0.5]."""
    if not next_slope > slope:  # also where it is not a number
        return 0.1
    return min(0.5, max(0.1, slope / (slope - next_slope)))
