"""Which pairs of small grey copies may show the same image: the coarse search that proposes and never decides.

A copy is described by its 8 x 8 lowest cosine frequencies without the mean, weighted by frequency so that the 1/f
spectrum of photographs does not decide alone, at length one. The product of two descriptions is their correlation:
brightness and contrast fall out. Mirroring an image turns the sign of the odd horizontal frequencies, so with the
even ones in front the better of both ways is `even + |odd|`, at no further cost. A crop is looked for the other way
round: each copy is also described as if it were cut to 92% of its sides, in the middle and in each corner, and these
are compared with all whole copies; the remaining shift of some percent hardly moves low frequencies.

The search is exact, block by block: N x N products, and memory that grows with N alone.

Letters: N copies, S the side of a copy, D values of a description, P pairs.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vitrail.core.threads import ThreadPool

FREQUENCIES = 8
CUT = 0.92
WINDOWS = ((0.0, CUT), (1 - CUT, 1.0))
LEAST = 0.78  # correlation of descriptions: copies stay above, as do some in 100,000 other pairs of photographs
MOST = 8  # proposals for each copy: where all images resemble one another, the nearest must do
BLOCK, TILE = 1024, 256  # rows and columns of products in the cache at once; TILE is a multiple of eight
SAMPLES = 4  # a pixel is cut where the window ends inside it
FLAT = 1.0  # grey levels of contrast under which there is nothing to compare

Floats = NDArray[np.float32]


def propose(copy_NSS: NDArray[np.uint8], *, threads: int, advance: Callable[[int], None]) -> NDArray[np.int64]:
    """Pairs of grey copies that may show the same image; `advance` is called with the number of rows done, N in all.

    Returns:
        P x 2 rows, the smaller first, sorted, each pair once.
    """
    whole_ND = describe(copy_NSS, (0.0, 1.0), (0.0, 1.0))
    middle = ((1 - CUT) / 2, (1 + CUT) / 2)
    windows = [(rows, columns) for rows in WINDOWS for columns in WINDOWS] + [(middle, middle)]
    all_MD = np.concatenate([whole_ND, np.zeros((-len(whole_ND) % TILE, whole_ND.shape[1]), np.float32)])
    described = [whole_ND, *(describe(copy_NSS, rows, columns) for rows, columns in windows)]

    def search(start: int) -> NDArray[np.int64]:
        matches = [pairs for one_ND in described for pairs in _compare(one_ND[start : start + BLOCK], all_MD, start)]
        advance(min(BLOCK, len(copy_NSS) - start))
        return _nearest(matches)[0]

    # Each thread multiplies alone: threads inside threads would fight over the cores.
    with threadpool_limits(1, user_api="blas"), ThreadPool(threads, "propose") as pool:
        blocks = list(pool.map(search, range(0, len(copy_NSS), BLOCK)))
    pairs_P2 = np.concatenate([*blocks, np.empty((0, 2), np.int64)])
    return np.unique(np.sort(pairs_P2, axis=1), axis=0)


def describe(copy_NSS: NDArray[np.uint8], rows: tuple[float, float], columns: tuple[float, float]) -> Floats:
    """The descriptions of a window of each copy.

    Args:
        copy_NSS: uint8.
        rows: where the window begins and ends, from 0 to 1 of the side.
        columns: the same across.

    Returns:
        N x D of length one, first the even horizontal frequencies, then the odd ones; zeros where a copy is flat.
    """
    side = copy_NSS.shape[1]
    down_FS, across_FS = _cosines(side, *rows), _cosines(side, *columns)
    value_NFF = down_FS @ copy_NSS.astype(np.float32) @ across_FS.T
    frequency_FF = np.hypot(*np.indices((FREQUENCIES, FREQUENCIES)))
    value_NFF *= frequency_FF.astype(np.float32)  # the mean, at frequency zero, falls out
    even_ND, odd_ND = (value_NFF[:, :, start::2].reshape(len(value_NFF), FREQUENCIES**2 // 2) for start in (0, 1))
    value_ND = np.concatenate([even_ND, odd_ND], axis=1)
    length_N1 = np.linalg.norm(value_ND, axis=1, keepdims=True)
    return np.where(length_N1 > FLAT, value_ND / np.maximum(length_N1, FLAT), 0).astype(np.float32)


def _cosines(side: int, low: float, high: float) -> Floats:
    """The cosines of a window as weights of the pixels of the whole side, F x S."""
    at = (np.arange(side * SAMPLES) + 0.5) / (side * SAMPLES)
    inside = (at >= low) & (at <= high)
    wave = np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * (at - low) / (high - low)) * inside / inside.sum()
    wave[1:] *= np.sqrt(2)
    return np.asarray(wave.reshape(FREQUENCIES, side, SAMPLES).sum(axis=2), dtype=np.float32)


Matches = tuple[NDArray[np.int64], Floats]  # P x 2 rows, and how well each pair matches


def _compare(block_BD: Floats, all_MD: Floats, start: int) -> Iterator[Matches]:
    """The pairs of a block of rows, which begins at `start`, with all rows; M is N, filled up to whole tiles.

    A tile of products stays in the processor's cache while it is made, joined and compared.
    """
    half = all_MD.shape[1] // 2
    match_BT = np.empty((len(block_BD), TILE), np.float32)
    odd_BT, above_BT = np.empty_like(match_BT), np.empty(match_BT.shape, bool)
    waiting: list[Matches] = []
    for begin in range(0, len(all_MD), TILE):
        part_TD = all_MD[begin : begin + TILE]
        np.matmul(block_BD[:, half:], part_TD[:, half:].T, out=odd_BT)
        np.matmul(block_BD[:, :half], part_TD[:, :half].T, out=match_BT)
        match_BT += np.abs(odd_BT, out=odd_BT)
        np.greater(match_BT, LEAST, out=above_BT)
        if not above_BT.reshape(-1).view(np.uint64).any():  # eight at once
            continue
        row_P, column_P = np.nonzero(above_BT)
        other = row_P + start != column_P + begin
        row_P, column_P = row_P[other], column_P[other]
        if not len(row_P):
            continue
        waiting.append((np.stack([row_P + start, column_P + begin], axis=1), match_BT[row_P, column_P]))
        if sum(len(match_P) for _, match_P in waiting) > 2 * MOST * BLOCK:
            waiting = [_nearest(waiting)]
    yield from waiting


def _nearest(matches: Sequence[Matches]) -> Matches:
    """The best matches of each first row, each pair once."""
    if not matches:
        return np.empty((0, 2), np.int64), np.empty(0, np.float32)
    pairs_P2 = np.concatenate([pairs for pairs, _ in matches])
    match_P = np.concatenate([match for _, match in matches])
    order = np.lexsort((-match_P, pairs_P2[:, 1], pairs_P2[:, 0]))
    first = np.append(True, (np.diff(pairs_P2[order], axis=0) != 0).any(axis=1))
    kept = order[first]
    kept = kept[np.lexsort((pairs_P2[kept, 1], -match_P[kept], pairs_P2[kept, 0]))]
    row_P = pairs_P2[kept, 0]
    begins = np.append(0, np.flatnonzero(np.diff(row_P)) + 1)
    rank_P = np.arange(len(row_P)) - np.repeat(begins, np.diff(np.append(begins, len(row_P))))
    kept = kept[rank_P < MOST]
    return pairs_P2[kept], match_P[kept]
