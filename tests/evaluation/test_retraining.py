import numpy as np
import pytest

from vitrail.evaluation.contestants import Criteria
from vitrail.evaluation.pairs import judge_pairs
from vitrail.evaluation.retraining import judge_retrained_pairs, judge_retraining, say_could_turn
from vitrail.statistics.intervals import wilson
from vitrail.statistics.training_variance import HalvesScored


def halves(luck: float, *, seed: int = 0, N: int = 2000) -> HalvesScored:
    draws, fold_N = np.random.default_rng(seed), np.arange(N) % 5
    rate_F2 = 0.8 + luck * np.array([[1, -1], [-1, 1], [1, -1], [-1, 1], [1, -1]])
    first_N, second_N = (draws.random(N) < rate_F2[fold_N, side] for side in (0, 1))
    one_N = np.zeros(N, dtype=np.int64)
    return HalvesScored(
        first_N=first_N, second_N=second_N, label_N=one_N, fold_N=fold_N, group_N=np.arange(N), share=0.4
    )


def right(only_a: int, only_b: int, n: int = 1000) -> dict[str, np.ndarray]:
    a_N, b_N = np.ones((2, n), dtype=bool)
    b_N[:only_a] = False
    a_N[only_a : only_a + only_b] = False
    return {"a": a_N, "b": b_N}


def test_the_interval_of_the_average_over_trainings_holds_that_of_this_head():
    top1 = wilson(800, 1000)
    moved = judge_retraining(top1, halves(0.05))
    # Both halves of a fold are 10 points apart: a variance of 50 squared points, 20 for a head on 2.5 times the images.
    assert moved.deviation == pytest.approx(0.0447, rel=0.25)
    assert moved.accuracy.low < top1.low < top1.high < moved.accuracy.high
    assert f"would vary by about ± {100 * moved.deviation:.1f} points" in moved.sentence
    still = judge_retraining(top1, halves(0.0))
    assert still.deviation < still.most
    assert f"would vary by ± {100 * still.most:.1f} points at most" in still.sentence
    assert still.accuracy.high - still.accuracy.low < 1.6 * (top1.high - top1.low)


def test_a_lead_that_another_training_could_turn_is_named_and_a_clear_one_is_not():
    pairs = judge_pairs(right(70, 35), None, Criteria())
    assert pairs[0].conclusion == "a is better"
    unsteady, steady = halves(0.05), halves(0.0, seed=1)
    (turned,) = judge_retrained_pairs(pairs, {"a": unsteady, "b": steady}, level=0.95)
    assert turned.could_turn
    assert turned.adjusted_p > 0.05 > pairs[0].adjusted_p
    assert "a and b could change places" in say_could_turn([turned], "a")[0]
    (clear,) = judge_retrained_pairs(pairs, {"a": steady, "b": steady}, level=0.95)
    assert not clear.could_turn
    assert clear.deviation == 0.0  # what moves both alike does not move their difference
    assert say_could_turn([clear], "a") == ()


def test_an_undecided_pair_cannot_turn_and_a_pair_without_halves_is_not_judged():
    pairs = judge_pairs(right(40, 35), None, Criteria())
    (open_pair,) = judge_retrained_pairs(pairs, {"a": halves(0.05), "b": halves(0.0)}, level=0.95)
    assert not open_pair.could_turn
    assert judge_retrained_pairs(pairs, {"a": halves(0.05)}, level=0.95) == ()


def test_a_pair_is_never_surer_over_trainings_than_on_these_heads():
    pairs = judge_pairs(right(12, 1), None, Criteria())
    (judged,) = judge_retrained_pairs(pairs, {"a": halves(0.0), "b": halves(0.0)}, level=0.95)
    assert judged.p_value >= pairs[0].mcnemar_p
