"""How figures are said."""

import math

import pytest

from vitrail.evaluation.sentences import (
    say_distance,
    say_image_range,
    say_names,
    say_p,
    say_points,
    say_rate,
    say_share,
)
from vitrail.statistics.intervals import Interval


def interval(value, low, high):
    return Interval(value=value, low=low, high=high, level=0.95, method="any", n=100)


def test_rates_and_differences_have_one_decimal_and_their_limits():
    assert say_rate(interval(0.847, 0.8214, 0.8699)) == "84.7% [82.1, 87.0]"
    assert say_points(interval(0.101, 0.0919, 0.1104)) == "10.1 points [9.2, 11.0]"
    assert say_points(interval(0.0, -0.0001, 0.0001)) == "0.0 points [0.0, 0.0]"


@pytest.mark.parametrize(
    ("fraction", "words"),
    [(0.01, "1 point"), (0.005, "0.5 points"), (0.02, "2 points"), (0.0091, "1 point"), (0.0089, "0.9 points")],
)
def test_a_bound_is_rounded_up(fraction, words):
    assert say_distance(fraction) == words


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (list("abcdef"), "a, b, c, d and 2 more"),
    ],
)
def test_names_are_listed_as_one_says_them(names, words):
    assert say_names(names) == words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (1.0, 4.0, "a quarter of"),
        (2.0, 4.0, "half of"),
        (4.0, 4.0, "as much as"),
        (4.1, 10.0, "41% of"),
        (0.01, 10.0, "0.1% of"),
        (8.0, 4.0, "2.0 times"),
        (1.0, 0.0, "as much as"),
    ],
)
def test_a_cost_is_written_as_a_share(part, whole, words):
    assert say_share(part, whole) == words


@pytest.mark.parametrize(
    ("least", "most", "words"),
    [
        (0.0, 0.2, "about 10"),
        (0.0, 873, "between a few and 900"),
        (873, 4210, "between 900 and 4,500"),
        (880, 900, "about 900"),
        (1230, 999_000, "between 1,500 and 1,000,000"),
        (42, 2e6, "between 45 and more than a million"),
        (0.0, math.inf, "between a few and more than a million"),
        (2e6, math.inf, "more than a million"),
    ],
)
def test_more_images_are_a_range_of_round_numbers(least, most, words):
    assert say_image_range(least, most) == f"{words} more test images"


def test_a_p_value_is_never_zero():
    assert say_p(0.0) == "p < 0.0001"
    assert say_p(0.0312) == "p = 0.031"
