from pathlib import Path

import numpy as np
import pytest

from tests.heads.test_logistic import problem, softmax
from vitrail.core.errors import DataError, UsageError
from vitrail.heads import SCALINGS, logistic_streamed
from vitrail.heads.head import balanced_weights
from vitrail.heads.logistic import fit_path
from vitrail.heads.logistic_streamed import StreamedAxes, StreamedPath


@pytest.fixture
def small(monkeypatch):
    """Several blocks of rows that are few."""
    monkeypatch.setattr(logistic_streamed, "ROWS_AT_ONCE", 64)


def streamed(rows, label_N, strength: float):
    return StreamedPath(StreamedAxes.of(rows), np.arange(len(rows)), label_N, classes=4).fit(strength)


class Watched:
    """Rows that remember which were read."""

    def __init__(self, feature_ND: np.ndarray) -> None:
        self._feature_ND = feature_ND
        self.asked: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._feature_ND)

    def __getitem__(self, rows):
        self.asked.append(rows)
        return self._feature_ND[rows]


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("strength", [1e-3, 0.1, 10.0])
def test_a_memory_mapped_head_gives_the_answers_of_the_one_in_memory(tmp_path: Path, small, strength: float, scaling):
    feature_ND, label_N = problem(2400)
    feature_ND = (feature_ND / 10 + 2).astype(np.float16)  # far from 0, as features after a ReLU are
    np.save(tmp_path / "features.npy", feature_ND[:2000])
    mapped_ND = np.load(tmp_path / "features.npy", mmap_mode="r")
    path = StreamedPath(StreamedAxes.of(mapped_ND, scaling), np.arange(2000), label_N[:2000], classes=4)
    fit = path.fit(strength)
    (whole,) = fit_path(
        feature_ND[:2000].astype(np.float32), label_N[:2000], classes=4, strengths=[strength], scaling=scaling
    )
    assert fit.converged
    held_out_ND = feature_ND[2000:].astype(np.float32)
    np.testing.assert_allclose(softmax(fit.logits(held_out_ND)), softmax(whole.logits(held_out_ND)), atol=0.01)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_class_weights_are_those_of_the_head_in_memory(small, scaling):
    feature_ND, label_N = problem(800)
    kept = (label_N != 2) | (np.arange(800) % 10 == 0)
    feature_ND, label_N = feature_ND[kept], label_N[kept]
    weights = balanced_weights(label_N, 4)
    axes, rows = StreamedAxes.of(feature_ND, scaling), np.arange(len(label_N))
    whole, plain = (
        fit_path(feature_ND, label_N, classes=4, strengths=[0.1], scaling=scaling, class_weights=class_weights)[0]
        for class_weights in (weights, None)
    )
    fit = StreamedPath(axes, rows, label_N, classes=4, class_weights=weights).fit(0.1)
    assert fit.converged
    wanted = softmax(whole.logits(feature_ND))
    np.testing.assert_allclose(softmax(fit.logits(feature_ND)), wanted, atol=0.01)
    assert np.abs(softmax(plain.logits(feature_ND)) - wanted).max() > 0.05


def test_rows_are_read_in_order_block_by_block_and_counted(small):
    feature_ND, label_N = problem(1600)
    rows = Watched(feature_ND)
    fit = streamed(rows, label_N, 0.1)
    assert all((np.diff(row_B) > 0).all() and len(row_B) <= 64 for row_B in rows.asked)
    assert fit.passes == pytest.approx(sum(map(len, rows.asked)) / 1600 - 1, abs=1)  # one more for the covariance
    assert fit.passes < 12


def test_a_strength_starts_from_the_solution_before(small):
    feature_ND, label_N = problem(1600)
    path = StreamedPath(StreamedAxes.of(feature_ND), np.arange(1600), label_N, classes=4)
    path.fit(0.1)
    again = StreamedPath(StreamedAxes.of(feature_ND), np.arange(1600), label_N, classes=4, start_P=path.solution)
    assert again.fit(0.1).passes <= 2  # it is the solution already, but for the curvature at another start
    assert path.fit(0.12).passes < streamed(feature_ND, label_N, 0.12).passes


def test_a_fit_on_some_rows_has_the_scaling_of_all_and_no_others_labels(small):
    feature_ND, label_N = problem(1600)
    some_M, axes = np.arange(0, 1600, 2), StreamedAxes.of(feature_ND)
    fit = StreamedPath(axes, some_M, label_N[some_M], classes=4).fit(0.1)
    np.testing.assert_allclose(fit.scaling.mean_D, feature_ND.mean(axis=0), rtol=1e-4, atol=1e-4)
    centred_ND = (feature_ND[some_M] - feature_ND.mean(axis=0)) / feature_ND.std(axis=0)
    (whole,) = fit_path(centred_ND, label_N[some_M], classes=4, strengths=[0.1], scaling="none")
    np.testing.assert_allclose(
        softmax(fit.logits(feature_ND)),
        softmax(whole.logits(((feature_ND - feature_ND.mean(axis=0)) / feature_ND.std(axis=0)).astype(np.float32))),
        atol=0.01,
    )


def test_it_is_the_same_again(small):
    feature_ND, label_N = problem(800)
    first, again = (streamed(feature_ND, label_N, 0.1) for _ in range(2))
    np.testing.assert_array_equal(first.weight_CD, again.weight_CD)


def test_rows_in_the_order_of_their_classes_take_no_more_passes(small):
    feature_ND, label_N = problem(1600)
    order = np.argsort(label_N, kind="stable")
    mixed, ordered = (streamed(feature_ND[rows], label_N[rows], 0.1) for rows in (np.arange(1600), order))
    assert ordered.passes <= mixed.passes + 2


def test_what_cannot_be_fitted_is_refused():
    feature_ND, label_N = problem(50)
    axes = StreamedAxes.of(feature_ND)
    with pytest.raises(DataError, match="label"):
        StreamedPath(axes, np.arange(50), label_N, classes=2)
    with pytest.raises(UsageError, match="above 0"):
        StreamedPath(axes, np.arange(50), label_N, classes=4).fit(0.0)
