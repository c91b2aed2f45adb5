"""A head for rows that are all for training: its setting chosen over folds, its temperature out of fold."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from vitrail.core.errors import DataError
from vitrail.core.machine import usable_cores
from vitrail.core.torch_threads import torch_threads
from vitrail.data.deal import deal
from vitrail.data.split import FOLDS
from vitrail.heads import Head
from vitrail.search.examples import Examples, make_folds
from vitrail.search.families import FAMILIES
from vitrail.search.finish import out_of_fold, refit
from vitrail.search.ledger import Ledger
from vitrail.search.options import TuneOptions
from vitrail.search.scored_trial import choose_winner

# Letters: N rows.


def fit_head(
    feature_ND: NDArray[np.float32],
    label_N: NDArray[np.int64],
    group_N: NDArray[np.int64],
    *,
    classes: tuple[str, ...],
    options: TuneOptions,
) -> Head:
    """Choose a setting by five-fold cross-validation as a benchmark does on small data, and fit it on all rows.

    Args:
        feature_ND: unscaled.
        label_N: numbers of classes.
        group_N: rows of one group stay in one fold; see `join_groups`.
        classes: their names.
        options: what is tried; the seed draws the folds.

    Returns:
        The head in the precision of its file, so that it gives the same bits once it was stored.

    Raises:
        DataError: all rows are in one group, so that nothing can be held out.
    """
    examples = _gather(feature_ND, label_N, group_N, classes=len(classes), seed=options.seed)
    ledger = Ledger(None, identity="")
    # As `tune` does over folds: each product in one thread, and fits side by side.
    with torch_threads(usable_cores()), threadpool_limits(1, user_api="blas"):
        rounds = [FAMILIES[kind].rounds(examples, options, ledger) for kind in options.kinds]
        trials = [trial for family in rounds for finished in family for trial in finished]
        winner = choose_winner(trials, examples, options.metric)
        temperature, _ = out_of_fold(examples, winner, options)
        head = refit(examples, np.arange(len(label_N)), winner, options, classes=classes, temperature=temperature)
    return replace(head, scores=type(head.scores).of(head.scores.tensors()))


def join_groups(*name_KN: NDArray[np.generic]) -> NDArray[np.int64]:
    """A number for each group, where rows that share a name in any of the columns are together."""
    N = len(name_KN[0])
    ends, size = [], N
    for name_N in name_KN:
        place_N = np.unique(name_N, return_inverse=True)[1]
        ends.append(size + place_N)
        size += int(place_N.max(initial=-1)) + 1
    row_M, name_M = np.tile(np.arange(N), len(ends)), np.concatenate(ends)
    graph = coo_array((np.ones(len(row_M), np.int8), (row_M, name_M)), shape=(size, size))
    return connected_components(graph, directed=False)[1][:N].astype(np.int64)


def _gather(
    feature_ND: NDArray[np.float32],
    label_N: NDArray[np.int64],
    group_N: NDArray[np.int64],
    *,
    classes: int,
    seed: int,
) -> Examples:
    order = np.random.default_rng(seed).permutation(len(label_N))
    fold_N = np.empty(len(label_N), np.int64)
    fold_N[order] = deal(label_N[order], [str(group) for group in group_N[order]], [1 / FOLDS] * FOLDS)
    folds = [np.flatnonzero(fold_N == fold) for fold in np.unique(fold_N)]
    if len(folds) < 2:
        raise DataError(
            "All images to fit on are copies of one image or belong to one group, so none can be held out to set the "
            "temperature of the probabilities: give more images, or smaller groups."
        )
    holdouts = make_folds(np.arange(len(label_N)), folds)
    return Examples(
        ids=tuple(str(row) for row in range(len(label_N))),
        feature_ND=feature_ND,
        label_N=label_N,
        group_N=group_N,
        classes=classes,
        holdouts=holdouts,
        folds=holdouts,
    )
