"""The images of a run, found by their bytes: an answer for an image that the head learned from proves nothing.

Letters: N images.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vitrail.data.dataset import SplitName
from vitrail.runs import RunRecord


@dataclass(frozen=True, slots=True)
class RunImages:
    """The id of each image in a split of the run, sorted, and its split."""

    id_N: NDArray[np.bytes_]
    split_N: NDArray[np.str_]

    @classmethod
    def of(cls, run: RunRecord) -> Self:
        """Those of a finished run; RunError if its table of examples cannot be read."""
        examples = run.examples()
        rows = sorted((i, s) for i, s in zip(examples.ids, examples.splits, strict=True) if s is not None)
        ids, splits = zip(*rows, strict=True) if rows else ((), ())
        return cls(np.array([bytes.fromhex(id_) for id_ in ids], "S32"), np.array(splits, "U11"))

    def split_of(self, image_id: str) -> SplitName | None:
        """The split of the image with this id; None if the run does not have it."""
        key = np.array([bytes.fromhex(image_id)], self.id_N.dtype)[0]  # numpy drops zeros at the end of both
        place = int(np.searchsorted(self.id_N, key))
        if place == len(self.id_N) or self.id_N[place] != key:
            return None
        split: SplitName = self.split_N[place].item()
        return split
