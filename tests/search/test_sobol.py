import numpy as np
import pytest
from scipy.stats import qmc

from vitrail.search.sobol import Choice, Range, sobol

SPACE = {"rate": Range(1e-4, 1e-2, log=True), "drop": Range(0.5, 0.8), "word": Choice(("a", "b", "c"))}


def test_more_trials_add_to_those_that_fewer_would_have_tried():
    many = sobol(SPACE, start=0, count=64, seed=3)
    assert sobol(SPACE, start=0, count=16, seed=3) == many[:16]
    assert sobol(SPACE, start=16, count=5, seed=3) == many[16:21]
    assert sobol(SPACE, start=0, count=16, seed=4) != many[:16]


def test_every_setting_lies_in_its_range_and_every_word_has_its_turn():
    settings = sobol(SPACE, start=0, count=64, seed=0)
    assert all(1e-4 <= one["rate"] <= 1e-2 and 0.5 <= one["drop"] <= 0.8 for one in settings)
    assert {one["word"] for one in settings} == {"a", "b", "c"}
    assert np.median([one["rate"] for one in settings]) == pytest.approx(1e-3, rel=0.1)


def test_the_points_are_spread_better_than_drawn_ones():
    point_TA = np.array(
        [list(one.values()) for one in sobol({"x": Range(0, 1), "y": Range(0, 1)}, start=0, count=64, seed=0)]
    )
    drawn_TA = np.random.default_rng(0).random((64, 2))
    assert qmc.discrepancy(point_TA) < qmc.discrepancy(drawn_TA) / 3


def test_one_point_of_a_range_without_width_is_its_only_value():
    assert sobol({"x": Range(0.25, 0.25), "y": Range(1e-3, 1e-3, log=True)}, start=0, count=1, seed=0) == [
        {"x": 0.25, "y": 1e-3}
    ]
