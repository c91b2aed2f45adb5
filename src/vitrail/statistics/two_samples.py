"""Whether two samples of rows come from one distribution, tested with a classifier that separates them.

A classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv:1610.06545): ridge regression on standardised rows,
cross-validated, with the area under its ROC curve as the statistic. Its null distribution comes from permuted samples,
for which everything is fitted again, so that the test keeps its level for any rows. A group is always in one fold and
is permuted as a whole. Ridge has a closed form: the out-of-fold scores of all permutations are one product per fold.

Letters: N rows, D features, G groups, P labellings, M rows of a fold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, stats

PERMUTATIONS = 999
FOLDS = 5
PENALTY = 1.0  # relative to the mean square length of a row, which is 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TwoSamples:
    """How well a classifier separates two samples: 0.5 is not at all, 1 is without error.

    `auc` is the chance that a row of the first sample gets a higher score than one of the second, over rows that the
    classifier did not see; `by_chance` is what 95 in 100 permutations stay below. `p_value` is that both samples come
    from one distribution: the share of permutations that do as well.
    """

    auc: float
    by_chance: float
    p_value: float
    first: int
    second: int
    groups: int


def tell_apart(
    feature_ND: NDArray[np.float32],
    first_N: NDArray[np.bool_],
    group_N: NDArray[np.int64],
    *,
    generator: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> TwoSamples:
    """Test whether the rows of the first sample come from the distribution of the others.

    Args:
        feature_ND: the rows of both samples.
        first_N: which rows belong to the first sample; no group may be in both samples, and each has at least two
            groups.
        group_N: the group of each row; a row without a group has a number of its own.
        generator: draws folds and permutations.
        permutations: how many.
    """
    number_N = np.unique(group_N, return_inverse=True)[1].reshape(-1)
    G = int(number_N.max()) + 1
    member_G = np.zeros(G, dtype=bool)
    member_G[number_N[first_N]] = True
    label_PG = np.stack([member_G, *(generator.permutation(member_G) for _ in range(permutations))])
    fold_G = np.arange(G)[generator.permutation(G)] % min(FOLDS, G)
    label_NP = label_PG.T[number_N]
    score_NP = _score_out_of_fold(_gram(feature_ND), label_NP, fold_G[number_N])
    auc_P = _areas(score_NP, label_NP)
    return TwoSamples(
        auc=float(auc_P[0]),
        by_chance=float(np.quantile(auc_P[1:], 0.95)),
        p_value=float((auc_P >= auc_P[0] - 1e-12).mean()),
        first=int(first_N.sum()),
        second=int((~first_N).sum()),
        groups=G,
    )


def _gram(feature_ND: NDArray[np.float32]) -> NDArray[np.float64]:
    """Products of all standardised rows, divided by their mean square length."""
    row_ND = feature_ND.astype(np.float64)
    row_ND -= row_ND.mean(axis=0)
    deviation_D = row_ND.std(axis=0)
    row_ND /= np.where(deviation_D > 0, deviation_D, 1.0)
    gram_NN = row_ND @ row_ND.T
    return np.asarray(gram_NN / max(float(np.trace(gram_NN)) / len(row_ND), 1e-12))


def _score_out_of_fold(
    gram_NN: NDArray[np.float64], label_NP: NDArray[np.bool_], fold_N: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The score of each row by the ridge fits of all labellings on the other folds, less their mean label.

    The mean would differ between folds in the opposite way to the labels that are left out.
    """
    score_NP = np.zeros(label_NP.shape)
    for fold in np.unique(fold_N):
        inside, outside = fold_N == fold, fold_N != fold
        label_MP = label_NP[outside].astype(np.float64)
        label_MP -= label_MP.mean(axis=0)
        penalised_MM = gram_NN[np.ix_(outside, outside)] + PENALTY * np.eye(len(label_MP))
        score_NP[inside] = gram_NN[np.ix_(inside, outside)] @ linalg.solve(penalised_MM, label_MP, assume_a="pos")
    return score_NP


def _areas(score_NP: NDArray[np.float64], label_NP: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The area under the ROC curve of each column, from ranks; a labelling without one of the sides has 0.5."""
    rank_NP = stats.rankdata(score_NP, axis=0)
    first_P = label_NP.sum(axis=0)
    pairs_P = first_P * (len(label_NP) - first_P)
    wins_P = (rank_NP * label_NP).sum(axis=0) - first_P * (first_P + 1) / 2
    return np.where(pairs_P > 0, wins_P / np.maximum(pairs_P, 1), 0.5)
