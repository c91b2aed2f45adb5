from dataclasses import dataclass, replace

import numpy as np

from vitrail.search.examples import Examples, Holdout
from vitrail.search.subsets import PARTS, SubsetScores, draw_part, find_hardest_classes, score_on_subsets


def examples(N: int = 1280, C: int = 8, groups: int | None = None) -> Examples:
    """Classes in clouds that overlap; the first half is train, the second val, and five folds of both."""
    draws = np.random.default_rng(0)
    label_N = np.arange(N) % C
    centre_CD = draws.normal(size=(C, 16))
    feature_ND = (centre_CD[label_N] + 2 * draws.normal(size=(N, 16))).astype(np.float32)
    group_N = np.arange(N) if groups is None else (np.arange(N) // C) % groups
    rows = np.arange(N)
    holdout = Holdout(rows[: N // 2], rows[N // 2 :], rows[N // 2 :])
    fold_N = (rows // C) % 5
    folds = tuple(Holdout(rows[fold_N != k], rows[fold_N == k], rows[fold_N == k]) for k in range(5))
    return Examples(tuple(map(str, rows)), feature_ND, label_N, group_N, C, (holdout,), folds)


@dataclass(frozen=True)
class Centroids:
    mean_CD: np.ndarray

    def logits(self, feature_ND):
        return -((feature_ND[:, None].astype(np.float64) - self.mean_CD) ** 2).sum(axis=2)


def train_on(data: Examples, seen: list):
    def train(rows):
        seen.append(rows)
        feature_ND, label_N = data.take_rows(rows)
        return Centroids(np.stack([feature_ND[label_N == c].mean(axis=0) for c in range(data.classes)]))

    return train


def score(data: Examples, seen: list | None = None) -> SubsetScores:
    train = train_on(data, [] if seen is None else seen)
    logit_NC = np.zeros((len(data.ids), data.classes))
    for fold in data.folds:
        logit_NC[fold.score] = train_on(data, [])(fold.fit).logits(data.feature_ND[fold.score])
    return score_on_subsets(data, train, logit_NC, seed=0)


def test_every_part_is_scored_on_the_fold_that_no_head_of_it_has_seen():
    data, seen = examples(), []
    scores = score(data, seen)
    hardest = [f"hardest_{name}" for name in (*PARTS, "other_half")]
    assert set(scores.predicted) == {"all", *PARTS, "other_half", *hardest}
    assert len(seen) == 5 * 8
    fold = data.folds[2]
    assert all(set(rows) <= set(fold.fit) for rows in seen[16:24]), "a scored row was trained on"
    whole = train_on(data, [])(seen[18]).logits(data.feature_ND[fold.score]).argmax(axis=1)
    np.testing.assert_array_equal(scores.predicted["half"][fold.score], whole)
    assert scores.right("eighth").mean() < scores.right("all").mean()


def test_halves_share_no_image_and_lesser_parts_lie_in_the_first():
    data, rank_G = examples(), np.random.default_rng(1).permutation(1280)
    rows, every = data.folds[0].fit, np.ones(8, bool)
    eighth, quarter, half = (draw_part(data, rows, every, part, rank_G) for part in (1 / 8, 1 / 4, 1 / 2))
    other = draw_part(data, rows, every, 1 / 2, rank_G, other=True)
    assert set(eighth) < set(quarter) < set(half)
    assert set(half) | set(other) == set(rows)
    assert not set(half) & set(other)
    assert np.bincount(data.label_N[half]).tolist() == [64] * 8
    single = np.concatenate([np.flatnonzero(data.label_N != 3), np.flatnonzero(data.label_N == 3)[:1]])
    for last in (False, True):  # neither head may lack a class
        assert 3 in data.label_N[draw_part(data, single, every, 1 / 2, rank_G, other=last)]


def test_only_the_growing_classes_lose_images():
    data, rank_G = examples(), np.random.default_rng(1).permutation(1280)
    grown = np.isin(np.arange(8), [2, 5])
    count_C = np.bincount(data.label_N[draw_part(data, data.folds[0].fit, grown, 1 / 8, rank_G)])
    assert count_C[[2, 5]].tolist() == [16, 16]
    assert count_C[[0, 1, 3, 4, 6, 7]].tolist() == [128] * 6


def test_whole_groups_are_taken_before_another_is_begun():
    data = examples(groups=10)
    rank_G = np.random.default_rng(1).permutation(10)
    rows = draw_part(data, data.holdouts[0].fit, np.ones(8, bool), 0.5, rank_G)
    begun = [len(np.unique(data.group_N[rows[data.label_N[rows] == c]])) for c in range(8)]
    assert begun == [5] * 8
    drawn = np.random.default_rng(1).choice(data.holdouts[0].fit, len(rows), replace=False)
    assert len(np.unique(data.group_N[drawn])) == 10  # what drawing image by image would have touched


def test_with_few_images_there_are_halves_alone_and_with_few_classes_no_hardest():
    assert set(score(examples(N=64)).predicted) >= {"all", "half", "other_half"}
    assert "eighth" not in score(examples(N=64)).predicted
    assert set(score(examples(N=350, C=7)).predicted) == {"all", *PARTS, "other_half"}


def test_the_hardest_classes_are_those_with_the_least_accuracy():
    data = examples()
    probability_NC = np.eye(8)[data.label_N]
    wrong_NC = np.eye(8)[(data.label_N + 1) % 8]
    mixed_NC = np.where(np.isin(data.label_N, [1, 6])[:, None], wrong_NC, probability_NC)
    assert find_hardest_classes(data, mixed_NC) == [1, 6]
    assert find_hardest_classes(replace(data, classes=7), mixed_NC) == []
