"""Deal rows into subsets: stratified by class, groups whole.

First each class is given a whole number of rows in every subset. Then groups are dealt, large ones first, each to the
subset that lacks most of its classes; then the rows without a group fill the rest, exactly if groups allow. Finding the
best deal is bin packing, so with groups the deal is good but not always the best.

Letters: N rows, C classes, S subsets.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def deal(labels: Sequence[int] | Ints, groups: Sequence[str | None], fractions: Sequence[float]) -> Ints:
    """Deal rows into subsets.

    Args:
        labels: the class of each row, counted from 0. The order of the rows is the order of dealing: shuffle them.
        groups: the group of each row, or None. Rows of one group stay together; the names do not matter.
        fractions: the share of each subset, summing to 1. Where a class has too few rows or groups for every subset,
            earlier subsets have precedence.

    Returns:
        The subset of each row. Without groups every class is within one row of its share in each subset; and a subset
        has at least one row of each class that has as many rows as there are subsets.
    """
    label_N = np.asarray(labels, dtype=np.int64)
    count_C = np.bincount(label_N) if len(label_N) else np.zeros(0, dtype=np.int64)
    need_CS = share_out(count_C, fractions)
    subset_N = np.full(len(label_N), -1, dtype=np.int64)
    together = _rows_together(groups)
    rows_of_class = [np.flatnonzero(label_N == label) for label in range(len(count_C))]
    _deal_groups(together, label_N, need_CS, subset_N)
    for label, rows in enumerate(rows_of_class):
        singles = rows[subset_N[rows] < 0]
        subset_N[singles] = np.repeat(np.arange(len(fractions)), _fit(need_CS[label], len(singles)))
    return subset_N


def share_out(count_C: Ints, fractions: Sequence[float]) -> Ints:
    """Whole numbers of rows for every class and subset, which sum to each class's count.

    What rounding leaves over goes to the subset that is owed most by the classes before, so that the subsets come out
    right as a whole too, and not only within each class.

    Returns:
        C x S counts, each its exact share rounded down or up, but at least one where there are enough.
    """
    share_S = np.asarray(fractions, dtype=np.float64)
    need_CS = np.zeros((len(count_C), len(share_S)), dtype=np.int64)
    owed_S = np.zeros(len(share_S))
    for label, count in enumerate(count_C):
        exact_S = np.round(count * share_S, 9)  # 0.6 * 5 is 3, not 3 - 4e-16
        need_S = np.floor(exact_S).astype(np.int64)
        owed_S += exact_S - need_S
        divisible = exact_S == need_S
        order = np.lexsort((np.arange(len(share_S)), -np.where(divisible, -np.inf, owed_S)))
        extra = order[: count - need_S.sum()]
        need_S[extra] += 1
        owed_S[extra] -= 1
        _leave_none_empty(need_S, owed_S)
        need_CS[label] = need_S
    return need_CS


def _leave_none_empty(need_S: Ints, owed_S: NDArray[np.float64]) -> None:
    for subset in range(len(need_S)):
        richest = int(np.argmax(need_S))
        # The first subset may take another's only row; the others may not.
        if need_S[subset] == 0 and need_S[richest] > (0 if subset == 0 else 1):
            need_S[[subset, richest]] += (1, -1)
            owed_S[[subset, richest]] += (-1, 1)


def _rows_together(groups: Sequence[str | None]) -> list[list[int]]:
    """The rows of each group of two or more: the largest first, and of equal ones that which was met first."""
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        if group is not None:
            rows.setdefault(group, []).append(row)
    return sorted((together for together in rows.values() if len(together) > 1), key=len, reverse=True)


def _deal_groups(together: Sequence[Sequence[int]], label_N: Ints, need_CS: Ints, subset_N: Ints) -> None:
    """Give each group a subset, and take its rows from what that subset needs."""
    classes, subsets = need_CS.shape
    count_C = np.maximum(need_CS.sum(axis=1), 1)
    have_CS = np.zeros_like(need_CS)
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
        score_S = (count_c / count_C[label_c]) @ (need_CS[label_c] / count_C[label_c, None])
        # The last pieces of a class must reach the subsets that have nothing of it yet; this outweighs any fit.
        empty_cS = have_CS[label_c] == 0
        urgent_c = pieces_C[label_c] <= empty_cS.sum(axis=1)
        score_S = score_S + 10.0 * (urgent_c[:, None] & empty_cS).sum(axis=0) * (
            1 + np.arange(subsets, 0, -1) / subsets
        )
        subset = int(np.argmax(score_S))
        subset_N[list(rows)] = subset
        need_CS[label_c, subset] -= count_c
        have_CS[label_c, subset] += count_c
        pieces_C[label_c] -= 1


def _fit(need_S: Ints, rows: int) -> Ints:
    """What single rows each subset gets, where groups may have given a subset more than it needs."""
    wanted_S = np.maximum(need_S, 0)
    while wanted_S.sum() > rows:
        wanted_S[np.argmax(wanted_S)] -= 1
    return wanted_S
