from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.search.test_tune import FAST, planted
from vitrail.data import make_split
from vitrail.search import tune

ONE_PATH = replace(FAST, kinds=("logistic",), splits=0, label_curves=False)


@dataclass(frozen=True)
class Two:
    """The planted features, and the same in noise."""

    features: dict[str, dict[str, np.ndarray]]
    pooling: str
    poolings: tuple[str, ...] = ("cls", "mean")
    backbone: str = "planted"
    key: str = "planted"

    def rows(self, ids):
        return np.stack([self.features[self.pooling][id_] for id_ in ids])

    def pooled(self, pooling):
        return replace(self, pooling=pooling)


def two(N: int, *, noisy: str, noise: float):
    rows, dataset = planted(N)
    draws = np.random.default_rng(0)
    worse = {
        id_: (row + noise * draws.standard_normal(row.shape)).astype(row.dtype) for id_, row in rows.feature.items()
    }
    features = {"cls": rows.feature, "mean": rows.feature} | {noisy: worse}
    dataset, split, _ = make_split(dataset)
    return Two(features, "cls"), split, dataset


@pytest.mark.parametrize("N", [400, 2000], ids=["folds", "val"])
@pytest.mark.parametrize(("noisy", "best"), [("cls", "mean"), ("mean", "cls")])
def test_the_pooling_that_tells_more_is_taken_and_the_other_is_kept_as_tried(N, noisy, best):
    features, split, dataset = two(N, noisy=noisy, noise=2.0)
    search = tune(features, split, dataset, FAST)
    assert search.pooling == best
    assert search.winner.setting["pooling"] == best
    poolings = [trial.setting["pooling"] for trial in search.trials]
    assert set(poolings) == {"cls", "mean"}
    assert poolings == sorted(poolings, key=lambda pooling: pooling != best)
    assert {trial.kind for trial in search.trials if trial.setting["pooling"] != best} == {"logistic"}
    assert search.digest == tune(features, split, dataset, FAST).digest


def test_what_cannot_be_told_apart_stays_with_the_own_pooling():
    features, split, dataset = two(2000, noisy="mean", noise=0.0)
    assert tune(features, split, dataset, ONE_PATH).pooling == "cls"


def test_without_logistic_heads_nothing_judges_and_the_own_pooling_stays():
    features, split, dataset = two(400, noisy="cls", noise=2.0)
    search = tune(features, split, dataset, replace(ONE_PATH, kinds=("ridge",)))
    assert search.pooling == "cls"
    assert {trial.setting["pooling"] for trial in search.trials} == {"cls"}


def test_an_interrupted_search_takes_the_same_pooling_and_trains_nothing_again(tmp_path):
    features, split, dataset = two(2000, noisy="cls", noise=2.0)
    first = tune(features, split, dataset, ONE_PATH, kept_in=tmp_path)
    written = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    second = tune(features, split, dataset, ONE_PATH, kept_in=tmp_path)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == written
    assert len(written) == 2
    assert second.digest == first.digest
    assert second.trials == first.trials


def test_a_budget_that_ends_before_the_other_pooling_leaves_the_own(tmp_path):
    features, split, dataset = two(2000, noisy="cls", noise=2.0)
    search = tune(features, split, dataset, replace(ONE_PATH, budget_s=1e-9))
    assert search.ended_early
    assert search.pooling == "cls"
