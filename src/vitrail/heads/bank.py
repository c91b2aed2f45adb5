"""The training features that a new image is compared with, and how far from them it may be.

The distance of an image is that to its k-th nearest row of the bank (Sun et al. 2022, arXiv:2204.06507). What is usual
is learnt from the rows themselves, each compared with the rows of other groups: a new image comes from a new group,
whose other images are not in the bank.

Letters: N examples, D features, B rows of the bank.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitrail.core.hashing import sha256_bytes
from vitrail.heads.head import StoredRows
from vitrail.statistics.conformal import threshold

BANK = 2_000  # rows: enough for k-th neighbours, small compared with the weights
ROWS_AT_ONCE = 4096
LARGEST_DISTANCE = 2.0  # of two unit rows: 1 less the cosine


@dataclass(frozen=True, kw_only=True, slots=True)
class Bank:
    """Rows of length 1, and the cosine distance to the `neighbours`-th that a share `alarms` of new images exceeds."""

    row_BD: NDArray[np.float16] = field(repr=False)
    neighbours: int
    alarms: float
    distance: float


def fill_bank(
    ids: Sequence[str],
    feature_ND: StoredRows,
    group_N: NDArray[np.int64] | None = None,
    *,
    alarms: float = 0.01,
    neighbours: int = 10,
) -> Bank:
    """Draw the rows from training images, and set the distance.

    Args:
        ids: the images, as `choose_rows` takes them.
        feature_ND: their features; only the rows that are drawn are read.
        group_N: their groups; None if images are independent.
        alarms: the share of new images that may be further away; 1 / (groups + 1) if there are too few groups for it.
        neighbours: k, if there are as many rows outside every group.
    """
    group_N = np.arange(len(ids)) if group_N is None else group_N
    chosen_B = choose_rows(ids, group_N)
    row_BD = unit_rows(feature_ND[chosen_B]).astype(np.float16)
    return measure_bank(row_BD, group_N[chosen_B], alarms=alarms, neighbours=neighbours)


def measure_bank(
    row_BD: NDArray[np.float16], group_B: NDArray[np.int64], *, alarms: float = 0.01, neighbours: int = 10
) -> Bank:
    """Set the distance for these rows."""
    size_G = np.unique(group_B, return_counts=True)[1]
    alarms = max(alarms, 1 / (len(size_G) + 1))
    if len(size_G) == 1:  # one group says nothing about another: no image is further away than this
        return Bank(row_BD=row_BD, neighbours=1, alarms=alarms, distance=LARGEST_DISTANCE)
    neighbours = min(neighbours, len(row_BD) - int(size_G.max()))
    distance_B = neighbour_distance(row_BD.astype(np.float32), row_BD, neighbours, without=(group_B, group_B))
    farthest = threshold(distance_B, alarms, group_B, unseen=len(size_G) / len(group_B))
    return Bank(row_BD=row_BD, neighbours=neighbours, alarms=alarms, distance=min(farthest, float(distance_B.max())))


def choose_rows(ids: Sequence[str], group_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which images go into the bank, and in which order, by sha256 of their ids.

    The first of every group comes before the second of any, so that the bank has as many groups as it can hold. The
    choice is the same for the same images in any order.
    """
    lots = (int(sha256_bytes(f"bank:{example}".encode())[:16], 16) for example in ids)
    order_N = np.argsort(np.fromiter(lots, np.uint64, len(ids)), kind="stable")
    by_group_N = np.argsort(group_N[order_N], kind="stable")
    sorted_N = group_N[order_N][by_group_N]
    start_N = np.flatnonzero(np.append(True, np.diff(sorted_N) != 0))
    turn_N = np.empty(len(ids), np.int64)
    turn_N[by_group_N] = np.arange(len(ids)) - np.repeat(start_N, np.diff(np.append(start_N, len(ids))))
    return np.asarray(order_N[np.argsort(turn_N, kind="stable")[:BANK]])


def unit_rows(feature_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1; a row of zeros stays. Unlike `scores.unit` in float32: the digest has the bits of the bank."""
    norm_N1 = np.linalg.norm(feature_ND, axis=1, keepdims=True)
    return np.asarray(feature_ND / np.where(norm_N1 > 0, norm_N1, 1.0), dtype=np.float32)


def neighbour_distance(
    feature_ND: NDArray[np.float32],
    row_BD: NDArray[np.float16],
    neighbours: int,
    *,
    without: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> NDArray[np.float64]:
    """The cosine distance from each example to its k-th nearest row of the bank.

    Args:
        feature_ND: features as they are stored.
        row_BD: unit rows.
        neighbours: k, at most B.
        without: the group of each example and of each row; an example is then compared with rows of other groups only.
    """
    row_DB, kth = row_BD.astype(np.float32).T, len(row_BD) - neighbours
    distance_N = np.empty(len(feature_ND))
    for start in range(0, len(feature_ND), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        near_NB = unit_rows(feature_ND[part]) @ row_DB
        if without is not None:
            near_NB[without[0][part, None] == without[1]] = -np.inf
        distance_N[part] = 1 - np.partition(near_NB, kth, axis=1)[:, kth]
    return distance_N
