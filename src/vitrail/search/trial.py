"""What a search tried, and what came out."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitrail.core.hashing import fingerprint, sha256_bytes
from vitrail.heads import CurvePoint, Head

# Letters: N examples, C classes.


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One setting, trained and scored on val, or over the folds where there is no val.

    `val_nll` is in nats and of uncalibrated probabilities, `val_nll_se` its standard error. `weight_norm` is the
    length of the weight on scaled features, less its mean over classes: the less, the stronger the regularisation,
    whatever the kind. `seconds` of a head trained with others is its share.
    """

    kind: str
    setting: dict[str, float | int | str]
    val_nll: float
    val_nll_se: float
    val_accuracy: float
    weight_norm: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Every trial on the features of one backbone, and the winner, refitted on train and val.

    `oof_probability_NC` has a row for each id of `oof_ids`, which are train and val: the probability that the winning
    setting gives an example when fitted without its fold, calibrated with the head's temperature (which was fitted on
    just these rows). `curve` is the best softmax head's, whatever kind won.
    """

    backbone: str
    trials: tuple[Trial, ...]
    winner: Trial
    head: Head = field(repr=False)
    oof_ids: tuple[str, ...] = field(repr=False)
    oof_probability_NC: NDArray[np.float64] = field(repr=False)
    curve: tuple[CurvePoint, ...] = field(repr=False)
    seconds: float

    @property
    def digest(self) -> str:
        """Stands for every choice made: the fitted head, to the last bit. The clock is not in it."""
        return fingerprint(
            {
                "backbone": self.backbone,
                "kind": self.head.kind,
                "setting": self.head.setting,
                "classes": self.head.classes,
                "temperature": self.head.temperature,
                "scaling": self.head.scaling.kind,
                "tensors": {name: sha256_bytes(array.tobytes()) for name, array in self.head.tensors().items()},
            }
        )
