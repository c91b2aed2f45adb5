"""What follows the metric that decides: pairs, the pick, its words; and where the other metric ranks otherwise."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.data import make_data
from vitrail.core.errors import UsageError
from vitrail.evaluation.contestants import Contestant, Criteria, JudgedImages
from vitrail.evaluation.deciding_metric import DecidingMetric
from vitrail.evaluation.decision import say_strength
from vitrail.evaluation.other_metric import say_other_order
from vitrail.evaluation.pairs import judge_pairs
from vitrail.evaluation.power import say_plan, say_small_test
from vitrail.evaluation.verdict import Verdict, assess
from vitrail.evaluation.winners_curse import correct_winner
from vitrail.statistics.metrics import balanced_accuracy

BALANCED = Criteria(decide_by="balanced")


def answer(label_N: np.ndarray, wrong: dict[int, int]) -> np.ndarray:
    """Right but for the first so many images of a class."""
    right_N = np.ones(len(label_N), dtype=bool)
    for label, count in wrong.items():
        right_N[np.flatnonzero(label_N == label)[:count]] = False
    return right_N


def judge_two(label_N: np.ndarray, a: dict[int, int], b: dict[int, int], criteria: Criteria) -> Verdict:
    contestants = []
    for name, wrong, gmacs in (("a", a, 1.0), ("b", b, 4.0)):
        predicted_N = np.where(answer(label_N, wrong), label_N, 1 - label_N)
        contestants.append(Contestant(name=name, gmacs=gmacs, licence="mit", probability_NC=np.eye(2)[predicted_N]))
    images = JudgedImages(ids=tuple(f"i{row}" for row in range(len(label_N))), classes=("dog", "wolf"))
    return assess(contestants, images, label_N, criteria, contamination={})


LABEL_N = np.repeat([0, 1], [1900, 100])
FREQUENT, RARE = {0: 19, 1: 40}, {0: 190, 1: 10}  # of a and b; 97.05% and 90% right, recalls 99 and 60, 90 and 90


def test_the_metric_that_decides_turns_the_decision_round():
    by_images = judge_two(LABEL_N, FREQUENT, RARE, Criteria())
    by_classes = judge_two(LABEL_N, FREQUENT, RARE, BALANCED)
    assert (by_images.decision.choose, by_images.decision.decide_by) == ("a", "top1")
    assert (by_classes.decision.choose, by_classes.decision.decide_by) == ("b", "balanced")
    (pair,) = by_classes.pairs
    assert pair.difference.value == pytest.approx((0.99 + 0.6) / 2 - 0.9)
    assert (pair.only_a, pair.only_b) == (171, 30)
    assert (pair.conclusion, by_classes.decision.strength) == ("b is better", "proven")
    assert "of balanced accuracy" in by_classes.decision.sentence
    assert by_classes.decision.because[0].startswith("b: balanced accuracy 90.0%")
    assert by_classes.winner.name == "b"
    assert by_classes.backbones == by_images.backbones  # the figures are the same


def test_each_metric_reports_that_the_other_ranks_differently_and_whether_that_is_significant():
    by_images = judge_two(LABEL_N, FREQUENT, RARE, Criteria()).decision
    (said,) = (caveat for caveat in by_images.caveats if caveat.startswith("By balanced accuracy"))
    assert said.startswith("By balanced accuracy, the order is different: b 90.0% [")
    assert said.endswith("By this metric, b beats a.")
    by_classes = judge_two(LABEL_N, FREQUENT, RARE, BALANCED).decision
    assert any(caveat.startswith("By accuracy, the order is different: a 97.0%") for caveat in by_classes.caveats)
    close = judge_two(LABEL_N, {0: 30, 1: 8}, {0: 40, 1: 7}, Criteria()).decision
    (said,) = (caveat for caveat in close.caveats if caveat.startswith("By balanced accuracy"))
    assert said.endswith("These two swap places, but the test images do not show which is better by this metric.")


def test_where_classes_are_as_large_both_metrics_say_the_same():
    label_N, draws = np.repeat(np.arange(4), 50), np.random.default_rng(0)
    correct = {name: draws.random(200) < rate for name, rate in (("a", 0.9), ("b", 0.8), ("c", 0.7))}
    metric = DecidingMetric.of("balanced", label_N)
    assert judge_pairs(correct, None, BALANCED, metric) == judge_pairs(correct, None, Criteria())
    assert say_other_order(correct, metric, label_N, None, BALANCED) == ()
    assert say_other_order(correct, DecidingMetric(), label_N, None, Criteria()) == ()
    top1, balanced = (
        correct_winner(correct, metric=one, generator=np.random.default_rng(0)) for one in (DecidingMetric(), metric)
    )
    assert (top1.name, top1.seen, top1.corrected.value) == pytest.approx(
        (balanced.name, balanced.seen, balanced.corrected.value)
    )


def test_the_same_or_a_tied_order_gives_no_sentence():
    label_N = np.repeat([0, 1], [90, 10])
    better = {"a": answer(label_N, {0: 2}), "b": answer(label_N, {0: 5, 1: 1})}
    level = {"a": answer(label_N, {0: 9}), "b": answer(label_N, {1: 1})}  # level by classes
    for correct in (better, level):
        assert say_other_order(correct, DecidingMetric(), label_N, None, Criteria()) == ()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([-1, 0, 0, 0, 1])), min_size=2, max_size=80),
    st.sampled_from([0, 2, 5]),
    st.sampled_from([0.8, 0.95, 0.99]),
    st.integers(2, 3),
)
def test_a_pair_beats_exactly_where_its_test_rejects(rows, group_size, level, backbones):
    label_N, lead_N = np.array(rows).T
    group_N = np.arange(len(rows)) // group_size if group_size else None
    if group_N is not None and group_N.max() == 0:
        group_N = None
    correct = {"a": lead_N >= 0, "b": lead_N <= 0, "c": lead_N <= 0}
    correct = {name: correct[name] for name in list(correct)[:backbones]}
    metric = DecidingMetric.of("balanced", label_N)
    for pair in judge_pairs(correct, group_N, Criteria(decide_by="balanced", level=level), metric):
        d = pair.difference
        assert -1 <= d.low <= d.value <= d.high <= 1
        assert (d.low > 0 or d.high < 0) == (pair.adjusted_p < 1 - level)
        assert pair.loss_a >= -d.value - 1e-9
        rates = [balanced_accuracy(label_N, correct[name]).value for name in (pair.a, pair.b)]
        assert d.value == pytest.approx(rates[0] - rates[1], abs=1e-9)


def test_a_test_of_one_image_and_of_one_class_is_judged():
    for label_N in (np.array([0]), np.zeros(5, dtype=np.int64)):
        verdict = judge_two(label_N, {}, {0: 1}, BALANCED)
        assert verdict.pairs[0].conclusion == "undecided"
        assert verdict.decision.choose == "a"


def test_a_practical_pick_states_its_loss_in_balanced_accuracy():
    decision = judge_two(LABEL_N, {1: 5}, {0: 60, 1: 2}, BALANCED).decision
    assert decision.strength == "practical"
    assert "points of balanced accuracy below" in decision.sentence
    assert "of balanced accuracy below the best" in say_strength(decision)


def test_a_test_of_rare_classes_shows_less_than_its_number_of_images():
    metric = DecidingMetric.of("balanced", LABEL_N)
    labels_C = np.array([1900, 100])
    assert metric.even_n(labels_C) == pytest.approx(380)
    assert say_small_test(labels_C, [0.02], [0.05]) == ()
    assert say_small_test(labels_C, [0.02], [0.05], metric) == (
        "With 2,000 test images a balanced accuracy is known to about ±2 points, and two backbones can be told apart "
        "only if they differ by about 5 points or more.",
    )


def test_the_plan_takes_the_sizes_of_the_classes_from_the_training_images():
    dataset, split, _ = make_data(["a", "b"], "{label}/{number}.png", per_class=300)
    plain, alike = (
        say_plan(dataset, split, backbones=2, level=0.95, metric=DecidingMetric(name=name))[1]
        for name in ("top1", "balanced")
    )
    assert alike == plain.replace("an accuracy", "a balanced accuracy")


def test_no_better_than_always_one_class_is_measured_by_the_same_metric():
    decision = judge_two(LABEL_N, {0: 0, 1: 98}, {0: 100, 1: 20}, BALANCED).decision
    (said,) = (caveat for caveat in decision.caveats if "always answering" in caveat)
    assert (
        said
        == "The test images do not show that a is better than always answering dog, whose balanced accuracy is 50.0%."
    )


def test_an_accuracy_that_is_not_known_is_wrong_usage():
    with pytest.raises(UsageError, match="There is no accuracy 'f1' to decide by: choose top1 or balanced"):
        replace(Criteria(), decide_by="f1")
