"""scikit-learn's digits: 1,797 handwritten digits of 8 x 8 pixels, there without a download.

Each becomes a grey PNG (`plain_png.py`).
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.sources.plain_png import plain_png

BRIGHTEST = 16  # the digits are counts of ink pixels in 4 x 4 cells


class DigitsSource:
    """The 1,797 digits, as PNG files in memory."""

    @property
    def name(self) -> str:
        """The data set's name."""
        return "digits"

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """One file a digit."""
        for index, label in enumerate(self._digits.target):
            yield ListedFile(path=f"{label}/{index:04d}.png", label=str(label))

    def read(self, path: str) -> bytes:
        """The PNG of one digit."""
        index = int(path.partition("/")[2].removesuffix(".png"))
        return plain_png(np.rint(self._digits.images[index] * (255 / BRIGHTEST)).astype(np.uint8))

    @cached_property
    def _digits(self) -> Any:
        from sklearn.datasets import load_digits

        return load_digits()
