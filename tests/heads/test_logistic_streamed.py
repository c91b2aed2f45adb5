from pathlib import Path

import numpy as np
import pytest

from tests.heads.test_logistic import problem
from vitrail.core.errors import DataError, UsageError
from vitrail.heads import logistic_streamed
from vitrail.heads.head import log_softmax
from vitrail.heads.logistic import fit_path
from vitrail.heads.logistic_streamed import fit_streamed


@pytest.fixture
def small(monkeypatch):
    """Several samples and several minibatches of each, of rows that are few."""
    monkeypatch.setattr(logistic_streamed, "LEAST_SAMPLE", 100)
    monkeypatch.setattr(logistic_streamed, "ROWS_AT_ONCE", 64)


def nll(fit, feature_ND, label_N) -> float:
    return float(-log_softmax(fit.logits(feature_ND))[np.arange(len(label_N)), label_N].mean())


@pytest.mark.parametrize("strength", [1e-3, 0.1, 10.0])
def test_a_memory_mapped_head_says_what_the_one_in_memory_says(tmp_path: Path, small, strength: float):
    feature_ND, label_N = problem(2400)
    feature_ND = (feature_ND + 20).astype(np.float16)  # far from 0, as features after a ReLU are
    np.save(tmp_path / "features.npy", feature_ND[:2000])
    mapped_ND = np.load(tmp_path / "features.npy", mmap_mode="r")
    streamed = fit_streamed(mapped_ND.__getitem__, label_N[:2000], classes=4, strength=strength)
    (whole,) = fit_path(feature_ND[:2000].astype(np.float32), label_N[:2000], classes=4, strengths=[strength])
    assert streamed.converged
    held_out = feature_ND[2000:].astype(np.float32), label_N[2000:]
    assert nll(streamed, *held_out) == pytest.approx(nll(whole, *held_out), abs=0.005)


def test_rows_are_read_in_order_and_all_of_them_only_in_the_end(small):
    feature_ND, label_N = problem(1600)
    asked: list[np.ndarray] = []

    def rows(row_B):
        asked.append(row_B)
        return feature_ND[row_B]

    fit = fit_streamed(rows, label_N, classes=4, strength=0.1)
    assert all((np.diff(row_B) > 0).all() and len(row_B) <= 64 for row_B in asked)
    assert fit.passes == pytest.approx(sum(map(len, asked)) / 1600, abs=1)
    assert fit.passes < 12


def test_it_is_the_same_again(small):
    feature_ND, label_N = problem(800)
    one, again = (fit_streamed(feature_ND.__getitem__, label_N, classes=4, strength=0.1) for _ in range(2))
    np.testing.assert_array_equal(one.weight_CD, again.weight_CD)


def test_what_makes_no_sense_is_refused():
    feature_ND, label_N = problem(50)
    with pytest.raises(DataError, match="label"):
        fit_streamed(feature_ND.__getitem__, label_N, classes=2, strength=1.0)
    with pytest.raises(UsageError, match="above 0"):
        fit_streamed(feature_ND.__getitem__, label_N, classes=4, strength=0.0)
