"""The probabilities of a backbone with its head for the examples of one split."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# Letters: N examples, C classes.


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """The probabilities of one backbone for every test or calibration example: a row each, in the order of `ids`."""

    name: str
    ids: tuple[str, ...] = field(repr=False)
    label_N: NDArray[np.int64] = field(repr=False)
    probability_NC: NDArray[np.float64] = field(repr=False)
