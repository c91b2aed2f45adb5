"""Which backbones no other one beats in accuracy and time, and how it is said."""

from dataclasses import replace

import pytest

from tests.delivery.examples import make_run
from vitrail.backbones.display_names import display_names
from vitrail.delivery.cost_front import ALIKE, list_steps, place_costs, say_front
from vitrail.runs import Results


def run_with(speeds: list[float], rates: list[float], *, seen: tuple[int, ...] = ()) -> Results:
    """A run of four backbones with these images a second and accuracies."""
    results, _ = make_run(["a", "b", "c"], backbones=len(speeds))
    backbones = [
        replace(
            result,
            cost=replace(result.cost, images_per_s=speed),
            test=replace(result.test, top1=replace(result.test.top1, value=rate)),
            contamination=replace(result.contamination, weight=0.9 if place in seen else 0.0),
        )
        for place, (result, speed, rate) in enumerate(zip(results.backbones, speeds, rates, strict=True))
    ]
    return replace(results, backbones=tuple(backbones))


def front_of(results: Results) -> list[int]:
    order = [result.name for result in results.backbones]
    return [order.index(point.name) for point in place_costs(results) if point.on_front]


@pytest.mark.parametrize(
    ("speeds", "rates", "front"),
    [
        ([10, 20, 40, 80], [0.9, 0.8, 0.7, 0.6], [3, 2, 1, 0]),
        ([10, 20, 40, 80], [0.6, 0.7, 0.8, 0.9], [3]),
        ([10, 20, 40, 80], [0.9, 0.5, 0.8, 0.6], [3, 2, 0]),
        ([10, 10, 40, 40], [0.9, 0.8, 0.7, 0.7], [2, 3, 0]),  # equal in both: neither beats the other
        ([10, 20, 40, 80], [0.8, 0.8, 0.7, 0.7], [3, 1]),  # equally accurate: the faster one
        ([10, 12, 40, 49], [0.9, 0.8, 0.7, 0.6], [2, 0]),  # about as fast: the more accurate one
        ([10, 12, 40, 49], [0.9, 0.9, 0.7, 0.7], [3, 2, 1, 0]),  # alike in both
        ([10, 12, 14, 16], [0.9, 0.8, 0.7, 0.6], [2, 0]),  # the third is clearly faster than the first
    ],
)
def test_the_front_is_what_nothing_else_beats(speeds, rates, front):
    results = run_with(speeds, rates)
    assert front_of(results) == sorted(front, key=lambda at: (-speeds[at], -rates[at], results.backbones[at].name))
    by_name = {result.name: (result.cost.images_per_s, result.test.top1.value) for result in results.backbones}
    for point in place_costs(results):
        if point.beaten_by:
            speed, rate = by_name[point.beaten_by]
            own_speed, own_rate = by_name[point.name]
            assert speed >= own_speed / ALIKE
            assert rate >= own_rate
            assert point.beaten_by in {other.name for other in place_costs(results) if other.on_front}


def test_a_backbone_that_saw_the_test_images_is_not_on_it_and_pushes_nobody_off():
    results = run_with([10, 20, 40, 80], [0.9, 0.8, 0.7, 0.95], seen=(3,))
    assert front_of(results) == [2, 1, 0]
    everyone = run_with([10, 20], [0.9, 0.8], seen=(0, 1))
    assert front_of(everyone) == []
    names = display_names(everyone.backbones)
    assert say_front(place_costs(everyone), everyone.pairs, names).startswith("All of these backbones saw the test")


def test_one_without_a_measured_time_is_left_out():
    results = run_with([10, 0, 40, 80], [0.9, 0.8, 0.7, 0.6])
    assert front_of(results) == [3, 2, 0]


def test_a_step_that_the_images_do_not_show_is_named():
    results = run_with([10, 80], [0.9, 0.6])
    (pair,) = results.pairs
    slow, fast = (result.name for result in results.backbones)
    names = display_names(results.backbones)
    points = place_costs(results)

    def said(conclusion: str) -> str:
        pairs = [replace(pair, a=slow, b=fast, conclusion=conclusion)]
        (step,) = list_steps(points, pairs)
        assert step.shown == (conclusion == "a is better")
        return say_front(points, pairs, names)

    assert "do not show" not in said("a is better")
    for conclusion in ("b is better", "equivalent", "undecided"):
        assert said(conclusion).endswith(
            f"These images do not show that {names[slow]} is more accurate than {names[fast]}."
        )


def test_the_sentence_says_what_is_on_the_front_and_what_is_beaten():
    results = run_with([10, 20, 40, 80], [0.9, 0.5, 0.8, 0.6])
    names = display_names(results.backbones)
    sentence = say_front(place_costs(results), results.pairs, names)
    slow, beaten, middle, fast = (names[result.name] for result in results.backbones)
    assert sentence.startswith(f"From the fastest to the most accurate: {fast} (60.0%")
    assert sentence.index(fast) < sentence.index(middle) < sentence.index(slow)
    assert f"{beaten} is beaten: one of these is about as fast or faster, and at least as accurate." in sentence
    best = run_with([10, 20], [0.6, 0.7])
    names = display_names(best.backbones)
    said = say_front(place_costs(best), best.pairs, names)
    assert said.startswith(f"No other backbone was more accurate here than {names[best.backbones[1].name]} (70.0%")
    assert said.endswith("or clearly faster.")
    assert say_front(place_costs(best)[:1], (), {}) == ""


def test_places_are_in_the_order_of_time():
    points = place_costs(run_with([10, 80, 40], [0.9, 0.6, 0.7]))
    assert [point.ms for point in points] == [12.5, 25.0, 100.0]
