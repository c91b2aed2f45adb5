"""A judge is measured on wrong labels that are planted, and a weak one accuses nobody."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vitrail.auditing.planted import Judge, PlantedErrors, plant_errors, say_own, say_planted, why_too_weak
from vitrail.statistics.confident_learning import label_margins, suspect_labels
from vitrail.statistics.intervals import wilson

CLASSES = 10
CERTAIN = wilson(900, 1000)


def make_judge(truth_N: NDArray[np.int64], skill: float, *, alike: float = 0.0) -> Judge:
    """A judge that knows the truth as well as `skill`, and takes each class for the next one as far as `alike`."""
    draws = np.random.default_rng(7)
    logit_NC = draws.normal(0, 1, (len(truth_N), CLASSES))
    rows = np.arange(len(truth_N))
    logit_NC[rows, truth_N] += skill
    logit_NC[rows, (truth_N + 1) % CLASSES] += alike * draws.random(len(truth_N))
    probability_NC = np.exp(logit_NC)
    probability_NC /= probability_NC.sum(axis=1, keepdims=True)
    return lambda label_N: probability_NC


def make_truth(examples: int = 1000) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, CLASSES, examples)


def plant_at_random(truth_N: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    draws = np.random.default_rng(1)
    wrong_N = draws.random(len(truth_N)) < share
    return np.where(wrong_N, (truth_N + draws.integers(1, CLASSES, len(truth_N))) % CLASSES, truth_N)


def test_a_judge_that_knows_the_truth_finds_the_planted_labels():
    truth_N = make_truth()
    planted = plant_errors(truth_N, CLASSES, make_judge(truth_N, 9.0))
    assert planted.planted == 100
    assert planted.recall.value > 0.9
    assert planted.least_precision.value > 0.95
    assert why_too_weak(CERTAIN, planted) == ""


def test_figures_follow_from_the_seed():
    truth_N = make_truth()
    judge = make_judge(truth_N, 3.0)
    assert plant_errors(truth_N, CLASSES, judge, seed=3) == plant_errors(truth_N, CLASSES, judge, seed=3)
    assert plant_errors(truth_N, CLASSES, judge, seed=3) != plant_errors(truth_N, CLASSES, judge, seed=4)


def test_a_judge_that_guesses_is_too_weak():
    truth_N = make_truth()
    planted = plant_errors(truth_N, CLASSES, make_judge(truth_N, 0.3))
    assert planted.least_precision.value < 0.1
    assert "It agrees with 15.0% [12.9, 17.3] of the labels" in why_too_weak(wilson(150, 1000), planted)


def test_a_judge_with_mostly_wrong_flags_is_too_weak_even_if_often_right():
    truth_N = make_truth(4000)
    judge = make_judge(truth_N, 5.0, alike=9.0)
    planted = plant_errors(truth_N, CLASSES, judge)
    right = int((judge(truth_N).argmax(axis=1) == truth_N).sum())
    assert right > 2_100
    assert "of its flags are expected to be right" in why_too_weak(wilson(right, 4000), planted)


def test_random_errors_of_the_data_itself_do_not_make_a_good_judge_weak():
    """The trap: with a fifth of the labels wrong, at most a fifth of the flags are on planted ones."""
    truth_N = make_truth(2000)
    label_N = plant_at_random(truth_N, 0.2)
    judge = make_judge(truth_N, 9.0)
    planted = plant_errors(label_N, CLASSES, judge)
    assert planted.least_precision.value < 0.25
    assert planted.precision.low > 0.7
    assert why_too_weak(wilson(1600, 2000), planted) == ""
    row_S = suspect_labels(judge(label_N), label_N).row_S
    assert planted.own_precision.low <= (label_N != truth_N)[row_S].mean() <= planted.own_precision.high
    assert planted.own_precision.value > 0.8
    assert "Of its flags on your own labels, an estimated" in say_own(planted)


@pytest.mark.parametrize(("skill", "alike"), [(4.0, 0.0), (3.0, 3.0), (6.0, 7.0)])
def test_at_the_limit_half_of_the_flags_are_right_on_other_errors(skill: float, alike: float):
    truth_N = make_truth(4000)
    judge = make_judge(truth_N, skill, alike=alike)
    planted = plant_errors(truth_N, CLASSES, judge)
    assert planted.limit is not None
    label_N = plant_at_random(truth_N, 0.05)
    probability_NC = judge(label_N)
    row_S = suspect_labels(probability_NC, label_N).row_S
    kept_S = row_S[label_margins(probability_NC[row_S], label_N[row_S]) <= planted.limit]
    assert (label_N != truth_N)[kept_S].mean() > 0.5
    assert len(kept_S) > 20


def test_the_expected_precision_is_the_true_one_where_errors_are_random():
    truth_N = make_truth(4000)
    label_N = plant_at_random(truth_N, 0.05)
    judge = make_judge(truth_N, 4.0)
    planted = plant_errors(label_N, CLASSES, judge)
    assert planted.limit is not None
    both_N = plant_at_random(label_N[::-1], 0.05)[::-1]  # drawn for other rows
    row_S = suspect_labels(judge(both_N), both_N).row_S
    kept_S = row_S[label_margins(judge(both_N)[row_S], both_N[row_S]) <= planted.limit]
    true = (both_N != truth_N)[kept_S].mean()
    of_own_S = suspect_labels(judge(label_N), label_N).row_S
    of_own_S = of_own_S[label_margins(judge(label_N)[of_own_S], label_N[of_own_S]) <= planted.limit]
    own = planted.own_precision
    assert own.low <= (label_N != truth_N)[of_own_S].mean() <= own.high
    assert planted.precision.low - 0.1 < true < planted.precision.high + 0.1


def test_with_two_classes_no_flag_on_an_own_label_is_credited():
    truth_N = make_truth() % 2
    judge = make_judge(truth_N, 4.0)

    def judge_two(label_N: NDArray[np.int64]) -> NDArray[np.float64]:
        probability_NC = judge(label_N)[:, :2]
        return probability_NC / probability_NC.sum(axis=1, keepdims=True)

    planted = plant_errors(plant_at_random(truth_N, 0.1) % 2, 2, judge_two)
    assert planted.precision == planted.least_precision
    assert planted.own_precision is None


@pytest.mark.parametrize("examples", [2, 10, 45])
def test_few_labels_are_no_error(examples: int):
    truth_N = np.arange(examples) % CLASSES
    planted = plant_errors(truth_N, CLASSES, make_judge(truth_N, 5.0))
    assert planted.planted >= 1
    assert say_planted(planted)


def test_a_judge_that_flags_nothing_is_too_weak():
    truth_N = make_truth()
    planted: PlantedErrors = plant_errors(truth_N, CLASSES, lambda label_N: np.eye(CLASSES)[label_N])
    assert (planted.precision, planted.flags) == (None, 0)
    assert why_too_weak(CERTAIN, planted) == "It found none of the 100 wrong labels that were planted to test it."
    assert "It found 0.0%" in say_planted(planted)
