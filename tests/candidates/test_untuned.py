import numpy as np

from vitrail.candidates.untuned import answer_untuned, match_by_answers


def logs(rows):
    probability = np.array(rows, dtype=np.float64)
    return np.log(probability / probability.sum(axis=1, keepdims=True))


def test_answers_are_among_the_matched_classes_only():
    log_NK = logs([[8, 1, 3, 2], [1, 1, 1, 9], [1, 5, 2, 1]])
    untuned = answer_untuned(log_NK, {0: (1,), 4: (2,)}, label_set="s", matched_by="names")
    assert untuned.predicted_N.tolist() == [4, 0, 0]  # of equals the first
    assert untuned.free_N.tolist() == [False, False, True]


def test_a_class_of_two_outputs_has_their_probability_together():
    log_NK = logs([[3, 3, 4]])
    both = answer_untuned(log_NK, {0: (0, 1), 1: (2,)}, label_set="s", matched_by="names")
    one = answer_untuned(log_NK, {0: (0,), 1: (2,)}, label_set="s", matched_by="names")
    assert (both.predicted_N.tolist(), one.predicted_N.tolist()) == ([0], [1])


def test_classes_take_outputs_one_to_one_so_that_their_sum_is_greatest():
    """Both classes are answered with output 0 most; the one that would lose less takes its second."""
    log_NK = logs([[6, 5, 0.1], [6, 5, 0.1], [9, 0.5, 0.5], [9, 0.5, 0.5]])
    assert match_by_answers(log_NK, np.array([0, 0, 1, 1])) == {0: (1,), 1: (0,)}


def test_a_class_without_training_images_matches_nothing():
    assert match_by_answers(logs([[1, 2], [2, 1]]), np.array([0, 3])) == {0: (1,), 3: (0,)}
