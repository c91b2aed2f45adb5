import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrail.statistics.confident_learning import suspect_labels


def test_a_confident_other_class_makes_a_label_suspect():
    probability_NC = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95]])
    found = suspect_labels(probability_NC, np.array([0, 0, 1, 1, 0]))
    assert found.row_S.tolist() == [4]
    assert found.suggested_S.tolist() == [1]


def test_thresholds_are_those_of_each_class_and_not_one_half():
    """The trap: by the most probable class alone, row 2 would be suspect; class 1 is never that unsure of its own."""
    probability_NC = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.05, 0.95], [0.05, 0.95]])
    label_N = np.array([0, 0, 0, 1, 1])
    assert probability_NC[2].argmax() != label_N[2]
    assert suspect_labels(probability_NC, label_N).row_S.tolist() == []


def test_a_class_that_nobody_has_is_never_suggested():
    probability_NC = np.array([[0.1, 0.1, 0.8], [0.2, 0.7, 0.1]])
    assert suspect_labels(probability_NC, np.array([0, 1])).row_S.tolist() == []


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        suspect_labels(np.ones((3, 2)) / 2, np.zeros(2, dtype=np.int64))


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_rows_changes_nothing(seed: int):
    probability_NC, label_N = noisy(seed, 60, 4)
    order = np.random.default_rng(seed).permutation(60)
    one, other = suspect_labels(probability_NC, label_N), suspect_labels(probability_NC[order], label_N[order])
    assert set(one.row_S.tolist()) == set(order[other.row_S].tolist())
    below_N = probability_NC.max(axis=1) - probability_NC[np.arange(60), label_N]
    assert np.all(np.diff(below_N[one.row_S]) <= 0)


@pytest.mark.parametrize("seed", range(5))
def test_it_finds_what_cleanlab_finds(seed: int):
    """cleanlab 2.9, `filter_by="confident_learning"`, with more than one class."""
    cleanlab = pytest.importorskip("cleanlab.filter", reason="needs cleanlab, the reference")
    probability_NC, label_N = noisy(seed, 400, 6)
    wanted = cleanlab.find_label_issues(label_N, probability_NC, filter_by="confident_learning", n_jobs=1)
    assert 10 < wanted.sum() < 200
    assert sorted(suspect_labels(probability_NC, label_N).row_S.tolist()) == np.flatnonzero(wanted).tolist()


def noisy(seed: int, examples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that know the truth fairly well, and labels of which a tenth are wrong."""
    draws = np.random.default_rng(seed)
    truth_N = draws.integers(0, classes, examples)
    logit_NC = draws.normal(0, 1, (examples, classes))
    logit_NC[np.arange(examples), truth_N] += 3
    probability_NC = np.exp(logit_NC) / np.exp(logit_NC).sum(axis=1, keepdims=True)
    label_N = np.where(draws.random(examples) < 0.1, draws.integers(0, classes, examples), truth_N)
    label_N[:classes] = np.arange(classes)
    return probability_NC, label_N
