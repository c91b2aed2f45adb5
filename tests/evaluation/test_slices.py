import numpy as np
import pytest
from scipy import stats

from vitrail.evaluation.slices import find_worst, judge_slices, say_worst

CAMERAS = ["A"] * 100 + ["B"] * 100 + [None] * 20
RIGHT_N = np.array([True] * 95 + [False] * 5 + [True] * 60 + [False] * 40 + [True] * 18 + [False] * 2)


def test_each_value_has_an_interval_that_holds_together_with_all_others():
    years = ["2024", "2025"] * 110
    slices = judge_slices(RIGHT_N, {"camera": CAMERAS, "year": years}, None, level=0.95)
    assert [each.title for each in slices] == [
        "camera = A",
        "camera = B",
        "camera missing",
        "year = 2024",
        "year = 2025",
    ]
    exact = stats.binomtest(60, 100).proportion_ci(0.99, method="exact")  # 5 values
    assert (slices[1].top1.low, slices[1].top1.high) == pytest.approx((exact.low, exact.high))
    assert slices[1].top1.level == 0.95
    assert "bonferroni over 5 values" in slices[1].top1.method
    assert slices[1].below_rest is not None
    assert slices[1].below_rest.value == pytest.approx(113 / 120 - 0.6)
    assert slices[1].told_apart
    assert not slices[2].told_apart


def test_the_worst_is_named_with_its_images_and_the_difference():
    slices = judge_slices(RIGHT_N, {"camera": CAMERAS}, None, level=0.95)
    worst = find_worst(slices)
    assert worst is not None
    assert worst.title == "camera = B"
    (sentence,) = say_worst("vit", slices)
    assert sentence.startswith("vit is least accurate on camera = B: 60.0% [")
    assert "of 100 test images, 34.2 points [" in sentence
    assert "below the rest, a significant difference (the intervals allow for all 3 values" in sentence


def test_a_value_of_one_wrong_image_does_not_hide_one_that_is_clearly_worse():
    cameras = [*CAMERAS[:-1], "C"]
    right_N = RIGHT_N.copy()
    (sentence,) = say_worst("vit", judge_slices(right_N, {"camera": cameras}, None, level=0.95))
    assert sentence.startswith("vit is clearly less accurate on camera = B")
    none_apart = judge_slices(np.array([True] * 9 + [False]), {"camera": ["A"] * 9 + ["B"]}, None, level=0.95)
    assert "0.0% [0.0, 98.8] of 1 test image, 100.0 points" in say_worst("vit", none_apart)[0]
    assert "not a significant difference" in say_worst("vit", none_apart)[0]


def test_equal_slices_or_a_single_value_give_no_caveat():
    assert say_worst("vit", judge_slices(np.ones(8, bool), {"camera": list("AABBAABB")}, None, level=0.95)) == ()
    (only,) = judge_slices(np.ones(8, bool), {"camera": ["A"] * 8}, None, level=0.95)
    assert only.below_rest is None
    assert say_worst("vit", (only,)) == ()
    assert judge_slices(np.ones(8, bool), {}, None, level=0.95) == ()


def test_groups_widen_the_interval_of_a_value():
    group_N = np.repeat(np.arange(44), 5)
    alone, grouped = (
        judge_slices(RIGHT_N, {"camera": CAMERAS}, group, level=0.95)[1].top1 for group in (None, group_N)
    )
    assert grouped.high - grouped.low > 1.3 * (alone.high - alone.low)
