"""ReaL accuracy against cases made by hand, by the rule of google-research/reassessed-imagenet bcd006f, README.md."""

import numpy as np
import pytest

from vitrail.statistics.intervals import wilson
from vitrail.statistics.several_labels import score_several_labels


def score(predicted, label, right, **options):
    return score_several_labels(np.array(predicted), np.array(label), right, **options)


def test_any_right_label_counts_and_images_without_one_are_left_out():
    """Of six images one has no label; 1 is right by two labels, 2 is right by one that is not the published one."""
    scores = score([3, 1, 2, 5, 4, 9], [3, 1, 7, 5, 6, 9], [{3}, {1, 8}, {2, 7}, {6}, {6}, set()])
    assert scores is not None
    assert scores.any_label == wilson(3, 5)
    assert scores.single_label == wilson(3, 5)  # images 0, 1 and 3 of the five
    assert scores.left_out == 1


def test_an_image_can_be_right_by_one_way_alone():
    scores = score([0, 1], [0, 0], [{2}, {1}])
    assert scores is not None
    assert (scores.any_label.value, scores.single_label.value) == (0.5, 0.5)
    scores = score([1, 1, 1, 1], [0, 0, 0, 0], [{0, 1}] * 4)
    assert scores is not None
    assert (scores.any_label.value, scores.single_label.value) == (1.0, 0.0)


def test_it_is_the_readmes_own_formula():
    rng = np.random.default_rng(0)
    real_labels = [rng.choice(10, rng.integers(0, 4), replace=False).tolist() for _ in range(500)]
    predictions = rng.integers(0, 10, 500)
    is_correct = [pred in real_labels[i] for i, pred in enumerate(predictions) if real_labels[i]]
    scores = score_several_labels(predictions, predictions, real_labels)
    assert scores is not None
    assert scores.any_label.value == pytest.approx(np.mean(is_correct))
    assert scores.any_label.n == len(is_correct) == 500 - scores.left_out
    assert scores.any_label.low < scores.any_label.value < scores.any_label.high


def test_without_any_label_there_is_no_score():
    assert score([1, 2], [1, 2], [set(), []]) is None


def test_groups_widen_the_interval_and_may_lose_images():
    right = [{1}] * 40 + [set()] * 4
    predicted = [1, 1, 1, 1, 0, 0, 0, 0] * 5 + [0] * 4
    groups = np.array([place // 4 for place in range(44)])
    alone, grouped = score(predicted, predicted, right), score(predicted, predicted, right, group_N=groups)
    assert alone is not None
    assert grouped is not None
    assert grouped.any_label.high - grouped.any_label.low > alone.any_label.high - alone.any_label.low
