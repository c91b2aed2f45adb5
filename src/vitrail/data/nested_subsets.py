"""Nested subsets of the training images: each contains the one before, stratified by class, groups whole.

A class has its share of a subset, but a few images at least, or all that it has. Images are taken in an order that
follows from the seed and their ids alone; a group is taken whole when a class of it still lacks images.

Letters: N training images, M images of the largest subset, C classes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.core.hashing import sha256_bytes
from vitrail.data.dataset import Dataset, whole
from vitrail.data.split import Split

# Closer together once a look is a large part of the cost: that saves a tenth (benchmarks/race.py).
SHARES = (1 / 32, 1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 3 / 4)
FEW = 3  # images of a class, at least
GROWTH = 1.3  # of a subset against the one before, at least: one that hardly grew would say the same again
LARGEST = 0.8  # of the training images: a larger subset saves nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class NestedSubsets:
    """The images of the largest subset, in an order that begins with those of every smaller one, and all sizes.

    `group_M` numbers groups in the order in which they come; None if no two images are in one group.
    """

    sizes: tuple[int, ...]
    ids: tuple[str, ...] = field(repr=False)
    label_M: NDArray[np.int64] = field(repr=False)
    group_M: NDArray[np.int64] | None = field(repr=False)


def plan_nested_subsets(dataset: Dataset, split: Split, shares: Sequence[float] = SHARES) -> NestedSubsets:
    """Subsets of train with about these shares, which rise; none if classes have so few images that all are needed.

    `dataset` and `split` are those that `make_split` gave.
    """
    ids = tuple(split.train)
    table = dataset.table.take(pa.array(split.train.row_M))
    label_N = table.column("label").to_numpy().astype(np.int64)
    units = _order_units(ids, whole(table.column("group")).to_pylist(), split.seed)
    count_C = np.bincount(label_N)
    have_C, left, taken, sizes = np.zeros_like(count_C), units, list[int](), list[int]()
    for share in shares:
        need_C = np.minimum(count_C, np.maximum(FEW, np.round(share * count_C)))
        waiting = []
        for rows in left:
            tally = Counter(label_N[rows].tolist())
            if any(have_C[label] < need_C[label] for label in tally):
                taken += rows
                for label, count in tally.items():
                    have_C[label] += count
            else:
                waiting.append(rows)
        left = waiting
        if len(taken) > LARGEST * len(ids):
            break
        if not sizes or len(taken) >= GROWTH * sizes[-1]:
            sizes.append(len(taken))
    row_M = np.array(taken[: sizes[-1] if sizes else 0], dtype=np.int64)
    return NestedSubsets(
        sizes=tuple(sizes),
        ids=tuple(ids[row] for row in row_M),
        label_M=label_N[row_M],
        group_M=_number_groups(units, row_M),
    )


def _order_units(ids: Sequence[str], groups: Sequence[str | None], seed: int) -> list[list[int]]:
    """Groups and images without one as lists of rows, in the order of digests of seed and ids."""
    digests = [sha256_bytes(f"{seed}:nested:{id_}".encode()) for id_ in ids]
    units: dict[tuple[str, str | None], list[int]] = {}
    for row in sorted(range(len(ids)), key=digests.__getitem__):
        units.setdefault(("alone", ids[row]) if groups[row] is None else ("group", groups[row]), []).append(row)
    return list(units.values())


def _number_groups(units: Sequence[Sequence[int]], row_M: NDArray[np.int64]) -> NDArray[np.int64] | None:
    if all(len(rows) == 1 for rows in units):
        return None
    unit_of = {row: number for number, rows in enumerate(units) for row in rows}
    _, first_M, number_M = np.unique([unit_of[row] for row in row_M.tolist()], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first_M))[number_M].astype(np.int64)
