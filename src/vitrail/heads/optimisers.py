"""One step of an optimiser on a block of a tensor of heads, in place, while the block is in the cache.

Each follows Keras 3 (keras/src/optimizers: rmsprop.py, sgd.py, adamw.py), with one learning rate per head. Weight decay
is decoupled from the gradient for all three, weight -= rate decay weight, as Keras does and as Loshchilov & Hutter 2019
(arXiv:1711.05101) argue for AdamW; `batched.py` does it before the step.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:  # the names of the optimisers are wanted where torch is not
    from torch import Tensor

OptimiserName = Literal["rmsprop", "sgd", "adamw"]
OPTIMISERS: tuple[OptimiserName, ...] = get_args(OptimiserName)

RHO = 0.9  # keras/src/optimizers/rmsprop.py
EPSILON = 1e-7  # of both rmsprop.py and adamw.py
MOMENTUM = 0.9  # Keras leaves it at 0, everyone who trains a linear head by SGD sets it to this
BETA_1, BETA_2 = 0.9, 0.999  # keras/src/optimizers/adamw.py

#: Weight, gradient (overwritten) and its factor, memory of the same shape, rate (broadcast), and the step's number,
#: counted from 1. The factor costs nothing here; before the step it would cost a pass over the gradient.
Step = Callable[["Tensor", "Tensor", float, "Sequence[Tensor]", "Tensor", int], None]


def rmsprop(
    weight: "Tensor", gradient: "Tensor", factor: float, memory: "Sequence[Tensor]", rate: "Tensor", step: int
) -> None:
    """Keras's form, epsilon inside the root: v = rho v + (1 - rho) g^2 from v = 0, weight -= rate g / sqrt(v + eps)."""
    del step
    (square,) = memory
    square.mul_(RHO).addcmul_(gradient, gradient, value=(1 - RHO) * factor**2)
    gradient.div_(square.add(EPSILON).sqrt_())
    weight.addcmul_(gradient, rate, value=-factor)


def sgd(
    weight: "Tensor", gradient: "Tensor", factor: float, memory: "Sequence[Tensor]", rate: "Tensor", step: int
) -> None:
    """With momentum as in Keras: v = momentum v - rate g, weight += v."""
    del step
    (velocity,) = memory
    velocity.mul_(MOMENTUM).addcmul_(gradient, rate, value=-factor)
    weight.add_(velocity)


def adamw(
    weight: "Tensor", gradient: "Tensor", factor: float, memory: "Sequence[Tensor]", rate: "Tensor", step: int
) -> None:
    """Keras's form: epsilon is added to the root, without torch's correction for the start."""
    mean, square = memory
    mean.mul_(BETA_1).add_(gradient, alpha=(1 - BETA_1) * factor)
    square.mul_(BETA_2).addcmul_(gradient, gradient, value=(1 - BETA_2) * factor**2)
    ratio = (1 - BETA_2**step) ** 0.5 / (1 - BETA_1**step)
    weight.addcmul_(mean / square.sqrt().add_(EPSILON), rate, value=-ratio)


#: Each optimiser with its number of memory tensors.
TABLE: dict[OptimiserName, tuple[Step, int]] = {"rmsprop": (rmsprop, 1), "sgd": (sgd, 1), "adamw": (adamw, 2)}
