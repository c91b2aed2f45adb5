"""When a head that is trained epoch by epoch has had enough, as Keras's EarlyStopping with restored weights does."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """One epoch of a head.

    The train figures are means over the epoch's batches while the weights were moving and dropout was on, as Keras
    prints them; the val figures are those at the epoch's end, without dropout. Losses in nats, accuracies as fractions.
    """

    epoch: int
    train_loss: float
    val_loss: float
    train_accuracy: float
    val_accuracy: float


@dataclass(slots=True)
class EarlyStopping:
    """Counts epochs without a new least loss. A loss that is not a number never is one."""

    patience: int
    best_epoch: int = 0
    best_loss: float = math.inf

    def improved(self, epoch: int, loss: float) -> bool:
        """Record the val loss of an epoch, counted from 1; True where it is the least so far."""
        if not loss < self.best_loss:
            return False
        self.best_epoch, self.best_loss = epoch, loss
        return True

    def exhausted(self, epoch: int) -> bool:
        """Whether `patience` epochs have passed since the best one."""
        return epoch - self.best_epoch >= self.patience
