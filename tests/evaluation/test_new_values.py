from typing import Any

import numpy as np
import pytest

from vitrail.data.leave_out import LeaveOutPlan
from vitrail.evaluation.new_values import difference_by_value, judge_new_values, say_new_order


def make_plan(values: str, **more: Any) -> LeaveOutPlan:
    facts: dict[str, Any] = {"without_value": 0, "new_already": 0, "kept_share": 0.8, "lost": ()}
    return LeaveOutPlan(
        column="camera",
        fold_of={value: number for number, value in enumerate(sorted(set(values)))},
        value_of={f"id {number:03d}": value for number, value in enumerate(values)},
        **facts | more,
    )


def test_known_and_new_are_paired_and_counted_by_value():
    plan = make_plan("AAAABBBB" * 5)
    known_N = np.ones(40, dtype=bool)
    new_N = np.array([True, True, True, True, True, False, False, True] * 5)
    new = judge_new_values(known_N, new_N, plan, level=0.95)
    assert (new.known.value, new.new.value, new.loss.value) == (1.0, 0.75, 0.25)
    assert [(v.value, v.n, v.right_known, v.right_new) for v in new.values] == [("A", 20, 20, 20), ("B", 20, 20, 10)]
    assert not new.told_apart  # two cameras say nothing of a third
    assert "With only 2 values, this says little" in new.sentence
    assert "heads for new values had at least 80% of the training images" in new.sentence


def test_a_loss_shared_by_many_values_is_significant():
    values = "".join(chr(65 + number) * 20 for number in range(12))
    new_N = np.arange(240) % 5 > 0
    new = judge_new_values(np.ones(240, dtype=bool), new_N, make_plan(values), level=0.95)
    assert new.told_apart
    assert "less, a significant difference" in new.sentence
    assert "says little" not in new.sentence


def test_heads_that_never_differ_still_leave_a_width():
    same_N = np.arange(60) % 4 > 0
    interval = difference_by_value(same_N, same_N, np.repeat(np.arange(6), 10), level=0.95)
    assert interval.value == 0
    assert interval.low < -0.2
    assert interval.high > 0.2


def test_images_that_are_not_compared_and_classes_that_are_lost_are_named():
    plan = make_plan("AB" * 10, without_value=3, new_already=2, lost=("cat",))
    sentence = judge_new_values(np.ones(20, bool), np.zeros(20, bool), plan, level=0.95).sentence
    assert "A head for new values had no training images of cat" in sentence
    assert sentence.endswith(
        "Test images that are not compared: 3 without a value and 2 with a value that training lacks."
    )


@pytest.mark.parametrize(
    ("new_b", "said"), [(0.95, "b leads a by"), (0.5, "")], ids=["another leader", "the same order"]
)
def test_a_different_order_for_new_values_is_reported(new_b: float, said: str):
    plan = make_plan("".join(chr(65 + number) * 20 for number in range(12)))
    order = np.random.default_rng(0).permutation(240)
    judged = {
        "a": (order < 230, order < 150),
        "b": (order < 220, order < 240 * new_b),
    }
    sentence = " ".join(say_new_order(["a", "b"], judged, plan, level=0.95))
    assert said in sentence
    assert bool(sentence) == bool(said)
