import math

import pytest
import torch

from vitrail.heads.optimisers import TABLE


def moved(name: str, gradients: list[float], rate: float = 1e-3) -> float:
    """Where a weight of 1 is after these gradients."""
    step, remembered = TABLE[name]
    weight = torch.ones(1, dtype=torch.float64)
    memory = [torch.zeros(1, dtype=torch.float64) for _ in range(remembered)]
    for number, gradient in enumerate(gradients, start=1):
        step(
            weight,
            torch.tensor([gradient / 2], dtype=torch.float64),
            2.0,
            memory,
            torch.tensor(rate, dtype=torch.float64),
            number,
        )
    return float(weight)


def test_rmsprop_is_kerass_for_two_steps_by_hand():
    gradient = 1e-4
    v1 = 0.1 * gradient**2
    first = 1.0 - 1e-3 * gradient / math.sqrt(v1 + 1e-7)
    assert moved("rmsprop", [gradient]) == pytest.approx(first, rel=1e-12)
    assert 1.0 - first == pytest.approx(3.15e-4, rel=0.01)  # torch's own form would move ten times as far
    v2 = 0.9 * v1 + 0.1 * gradient**2
    second = first - 1e-3 * gradient / math.sqrt(v2 + 1e-7)
    assert moved("rmsprop", [gradient, gradient]) == pytest.approx(second, rel=1e-12)


def test_sgd_has_kerass_momentum():
    assert moved("sgd", [2.0, 3.0], rate=0.1) == pytest.approx(1 - 0.2 + (0.9 * -0.2 - 0.3), rel=1e-12)


def test_adamw_is_torchs_where_epsilon_does_not_matter():
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    theirs = torch.optim.AdamW([weight], lr=1e-2, weight_decay=0.0, eps=0.0)
    gradients = [0.5, -0.2, 0.9]
    for gradient in gradients:
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        theirs.step()
    assert moved("adamw", gradients, rate=1e-2) == pytest.approx(float(weight.detach()), rel=1e-6)
