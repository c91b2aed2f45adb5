"""What is said of a small test, before the run and after it."""

import numpy as np
import pytest

from tests.evaluation.data import make_data
from vitrail.data import SplitOptions
from vitrail.evaluation.power import SMALL_TEST, TYPICAL_ACCURACY, say_plan, say_small_test, say_test_size
from vitrail.statistics.intervals import wilson
from vitrail.statistics.paired import mcnemar_exact, visible_difference


def half_width(n: int) -> float:
    interval = wilson(round(TYPICAL_ACCURACY * n), n)
    return (interval.high - interval.low) / 2


def test_a_test_is_small_where_an_accuracy_of_90_percent_is_not_known_to_3_points():
    assert half_width(SMALL_TEST) < 0.03
    assert half_width(round(0.95 * SMALL_TEST)) > 0.03


def test_the_sentence_says_how_much_120_images_can_show():
    assert say_test_size(120, half_width(120), visible_difference(0.1, 120)) == (
        "With 120 test images an accuracy is known to about ±5.5 points, and two backbones can be told apart only if "
        "they differ by about 8.1 points or more."
    )
    assert say_test_size(1, 0.4, None) == "With 1 test image an accuracy is known to about ±40 points."


@pytest.mark.parametrize("n", [20, 40, 120, 400])
def test_the_stated_visible_difference_is_found_about_four_times_out_of_five(n: int):
    """McNemar's exact test on drawn images; of few images it is more careful than the formula."""
    difference = visible_difference(0.1, n)
    only_b = (max(0.1, difference) - difference) / 2
    draws = np.random.default_rng(0)
    counts = draws.multinomial(n, [only_b + difference, only_b, 1 - 2 * only_b - difference], size=1000)
    told = [a > b and mcnemar_exact(int(a), int(b)) < 0.05 for a, b, _ in counts]
    assert 0.7 < np.mean(told) < 0.9


def test_the_plan_counts_images_and_states_the_precision_of_a_small_test():
    dataset, split, _ = make_data(["a", "b"], "{label}/{number}.png", per_class=300)
    counted, shown = say_plan(dataset, split, backbones=2, level=0.95)
    assert counted == ("made: 600 images of 2 classes; 480 to train on, no val: 5-fold cross-validation, 120 test.")
    assert shown == (
        "With 120 test images an accuracy is known to about ±5.5 points, and two backbones can be told apart only if "
        "they differ by about 8.1 points or more. (Assumed: accuracies near 90%, and one image in ten that only one "
        "of two backbones gets right.)"
    )
    assert "told apart" not in say_plan(dataset, split, backbones=1, level=0.95)[1]
    assert "9.4 points" in say_plan(dataset, split, backbones=3, level=0.95)[1]  # three tests, corrected for each other


def test_the_plan_of_a_large_test_is_one_line():
    dataset, split, _ = make_data(["a", "b"], "{number}.png", per_class=1_000)
    assert say_plan(dataset, split, backbones=2, level=0.95) == (
        "made: 2,000 images of 2 classes; 1,200 to train on, 400 val, 400 test.",
    )


def test_the_plan_names_the_calibration_split():
    dataset, split, _ = make_data(["a", "b"], "{number}.png", per_class=30, options=SplitOptions(calibration=0.2))
    assert ", 12 calibration, 12 test." in say_plan(dataset, split, backbones=1, level=0.95)[0]


def test_after_the_run_the_widest_interval_and_the_pair_that_shows_least_count():
    assert say_small_test(np.array([20, 40]), [0.05, 0.071], [0.153, 0.2]) == (say_test_size(60, 0.071, 0.2),)
    assert say_small_test(np.array([20, 40]), [0.05], []) == (say_test_size(60, 0.05, None),)
    assert say_small_test(np.array([SMALL_TEST]), [0.05], [0.2]) == ()
