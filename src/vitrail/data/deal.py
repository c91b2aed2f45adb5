"""Deal rows into parts: stratified by class, groups whole.

First each class is given a whole number of rows in every part. Then groups are dealt, large ones first, each to the
part that lacks most of its classes; then the rows without a group fill what is left, exactly where groups allow.
Finding the best such deal is bin packing, so with groups it is a good one and not the best one.

Letters: N rows, C classes, P parts.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def deal(labels: Sequence[int] | Ints, groups: Sequence[str | None], fractions: Sequence[float]) -> Ints:
    """Deal rows into parts.

    Args:
        labels: the class of each row, counted from 0. The order of the rows is the order of dealing: shuffle them.
        groups: the group of each row, or None. Rows of one group stay together; the names do not matter.
        fractions: the share of each part, summing to 1. Where a class has too few rows or groups for every part,
            earlier parts have precedence.

    Returns:
        The part of each row. Without groups every class is within one row of its share in each part, but that a part
        has at least one row of each class where the class has as many rows as there are parts.
    """
    label_N = np.asarray(labels, dtype=np.int64)
    count_C = np.bincount(label_N) if len(label_N) else np.zeros(0, dtype=np.int64)
    need_CP = share_out(count_C, fractions)
    part_N = np.full(len(label_N), -1, dtype=np.int64)
    together = _rows_together(groups)
    rows_of_class = [np.flatnonzero(label_N == label) for label in range(len(count_C))]
    _deal_groups(together, label_N, need_CP, part_N)
    for label, rows in enumerate(rows_of_class):
        singles = rows[part_N[rows] < 0]
        part_N[singles] = np.repeat(np.arange(len(fractions)), _fit(need_CP[label], len(singles)))
    return part_N


def share_out(count_C: Ints, fractions: Sequence[float]) -> Ints:
    """Whole numbers of rows for every class and part, which sum to each class's count.

    What rounding leaves over goes to the part that is owed most by the classes before, so that the parts come out
    right as a whole too, and not only within each class.

    Args:
        count_C: the rows of each class.
        fractions: the share of each part.

    Returns:
        An array of C x P counts, each its exact share rounded down or up, but at least one where there are enough.
    """
    share_P = np.asarray(fractions, dtype=np.float64)
    need_CP = np.zeros((len(count_C), len(share_P)), dtype=np.int64)
    owed_P = np.zeros(len(share_P))
    for label, count in enumerate(count_C):
        exact_P = np.round(count * share_P, 9)  # 0.6 * 5 is 3, not 3 - 4e-16
        need_P = np.floor(exact_P).astype(np.int64)
        owed_P += exact_P - need_P
        divisible = exact_P == need_P
        order = np.lexsort((np.arange(len(share_P)), -np.where(divisible, -np.inf, owed_P)))
        extra = order[: count - need_P.sum()]
        need_P[extra] += 1
        owed_P[extra] -= 1
        _leave_none_empty(need_P, owed_P)
        need_CP[label] = need_P
    return need_CP


def _leave_none_empty(need_P: Ints, owed_P: NDArray[np.float64]) -> None:
    for part in range(len(need_P)):
        richest = int(np.argmax(need_P))
        # The first part may take another's only row; the others may not.
        if need_P[part] == 0 and need_P[richest] > (0 if part == 0 else 1):
            need_P[[part, richest]] += (1, -1)
            owed_P[[part, richest]] += (-1, 1)


def _rows_together(groups: Sequence[str | None]) -> list[list[int]]:
    """The rows of each group of two or more: the largest first, and of equal ones that which was met first."""
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        if group is not None:
            rows.setdefault(group, []).append(row)
    return sorted((together for together in rows.values() if len(together) > 1), key=len, reverse=True)


def _deal_groups(together: Sequence[Sequence[int]], label_N: Ints, need_CP: Ints, part_N: Ints) -> None:
    """Give each group a part, and take its rows from what that part needs."""
    classes, parts = need_CP.shape
    count_C = np.maximum(need_CP.sum(axis=1), 1)
    have_CP = np.zeros_like(need_CP)
    # Indivisible pieces of each class still to be dealt: its groups, and its rows without one.
    pieces_C = np.bincount(label_N, minlength=classes)
    counted = [Counter(label_N[list(rows)].tolist()) for rows in together]
    for tally in counted:
        for label, count in tally.items():
            pieces_C[label] -= count - 1
    for rows, tally in zip(together, counted, strict=True):
        label_c = np.fromiter(tally.keys(), dtype=np.int64)
        count_c = np.fromiter(tally.values(), dtype=np.int64)
        # How much better each class fits, in shares of that class: sum of (need - count)^2 falls by 2 count need.
        score_P = (count_c / count_C[label_c]) @ (need_CP[label_c] / count_C[label_c, None])
        # The last pieces of a class must reach the parts that have nothing of it yet; this outweighs any fit.
        empty_cP = have_CP[label_c] == 0
        urgent_c = pieces_C[label_c] <= empty_cP.sum(axis=1)
        score_P = score_P + 10.0 * (urgent_c[:, None] & empty_cP).sum(axis=0) * (1 + np.arange(parts, 0, -1) / parts)
        part = int(np.argmax(score_P))
        part_N[list(rows)] = part
        need_CP[label_c, part] -= count_c
        have_CP[label_c, part] += count_c
        pieces_C[label_c] -= 1


def _fit(need_P: Ints, rows: int) -> Ints:
    """What single rows each part gets, where groups may have given a part more than it needs."""
    wanted_P = np.maximum(need_P, 0)
    while wanted_P.sum() > rows:
        wanted_P[np.argmax(wanted_P)] -= 1
    return wanted_P
