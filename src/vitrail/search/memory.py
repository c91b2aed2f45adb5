"""Whether a search holds a backbone's features in memory: the one rule for it.

The search in memory holds several copies of the features at its peak: as read, scaled and turned once for each scaling,
those of another pooling while poolings are compared, and a part of the rows for each of the fits that run side by side.
It also holds scores of every class for every row. benchmarks/logistic_streamed.py measures how many of each:

    4 bytes x rows x width   x (COPIES + COPIES_A_FIT x fits side by side)
  + 8 bytes x rows x classes x (SCORES + SCORES_A_FIT x fits side by side)

Rows are those of train and val, the width is that of the widest pooling. If this is more than half of the memory that
the process may use, the search reads the rows from disk instead (`streamed.py`). The other half is for the networks,
their libraries and the test predictions. The memory is that of the machine or its cgroup, and not what happens to be
free: the same machine makes the same choice every time. Without a val there are under 1,000 images, always held.

Example: 80% of ImageNet-1k are 1.02 million rows. With 1,280 features a copy takes 5.2 GB and scores of 1,000 classes
8.2 GB; with four fits side by side that makes 211 GB. With 8 GB of memory 4 GB are allowed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitrail.core.errors import UsageError
from vitrail.core.machine import usable_cores, usable_memory

if TYPE_CHECKING:
    from vitrail.data import Split

COPIES = 9
COPIES_A_FIT = 2
SCORES = 3
SCORES_A_FIT = 3
SHARE = 1 / 2
GIB = 2**30


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes at the peak of the search in memory, and the bytes that it may take."""

    needed: int
    allowed: int

    @property
    def fits(self) -> bool:
        """Whether the features are held in memory."""
        return self.needed <= self.allowed

    def __str__(self) -> str:
        return (
            f"in memory the search would need {self.needed / GIB:,.1f} GiB, and it may use {self.allowed / GIB:,.1f}, "
            "half of the memory of this process"
        )


def estimate_need(rows: int, *, width: int, classes: int, fits: int, memory: int) -> MemoryNeed:
    """The memory that a search on `rows` rows needs, with `fits` fits at once, if the process may use `memory`."""
    features = 4 * rows * width * (COPIES + COPIES_A_FIT * fits)
    scores = 8 * rows * classes * (SCORES + SCORES_A_FIT * fits)
    return MemoryNeed(features + scores, round(SHARE * memory))


def measure_need(split: "Split", *, width: int, classes: int) -> MemoryNeed:
    """The memory that a search needs on this machine; `width` is the width of the widest pooling."""
    from vitrail.heads.threads import FITS_AT_ONCE

    rows = (
        len(split.train) + len(split.val) if split.val else 0
    )  # without val there are few rows, and they always stay in memory
    fits = min(FITS_AT_ONCE, usable_cores())
    return estimate_need(rows, width=width, classes=classes, fits=fits, memory=usable_memory())


def require_kinds(backbone: str, kinds: Sequence[str], need: MemoryNeed) -> None:
    """Check that heads can be fitted in memory or on features on disk.

    Raises:
        UsageError: features do not fit in memory, and no requested kind of head can be fitted on disk.
    """
    if not need.fits and "logistic" not in kinds:
        raise UsageError(
            f"The heads of {backbone} cannot be searched on this machine: {need}, and none of the requested kinds "
            f"({', '.join(kinds)}) can be fitted on features that stay on disk. Use a machine with more memory, or a "
            "recipe with logistic heads, such as the default one."
        )
