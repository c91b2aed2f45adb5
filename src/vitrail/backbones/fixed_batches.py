"""Batches of one fixed size: a row's feature depends neither on its neighbours nor on how many there are.

Letters: B images, H rows, W columns, C channels.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def in_batches(pixel_BHWC: NDArray[np.uint8], batch: int) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Batches of exactly `batch` images, the last one padded, each with the number of its images that are real."""
    for start in range(0, len(pixel_BHWC), batch):
        batch_BHWC = np.ascontiguousarray(pixel_BHWC[start : start + batch])
        count = len(batch_BHWC)
        if count < batch:
            padding_BHWC = np.zeros((batch - count, *batch_BHWC.shape[1:]), np.uint8)
            batch_BHWC = np.concatenate([batch_BHWC, padding_BHWC])
        yield batch_BHWC, count
