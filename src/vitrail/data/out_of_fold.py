"""The answers on train and val after the search; declared here because search and evaluation both use them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class OutOfFold:
    """Label and group of each image of train and val, and whether a head fitted without its fold is right.

    An image without a group has a number of its own.
    """

    label_N: NDArray[np.int64] = field(repr=False)
    group_N: NDArray[np.int64] = field(repr=False)
    right_N: NDArray[np.bool_] = field(repr=False)
