"""The rows of the tables of backbones and of pairs."""

import math
from dataclasses import replace

from tests.delivery.examples import make_run
from vitrail.delivery.report.comparison import assign_colours, compare, compare_pairs, sort_best_first


def test_the_best_stands_first_and_keeps_the_colour_of_its_place_in_the_command() -> None:
    results, _ = make_run([f"c{i}" for i in range(12)], backbones=4)
    rows, _ = compare(results)
    top1 = [row.result.test.top1.value for row in rows]
    assert top1 == sorted(top1, reverse=True)
    assert {row.result.name: row.colour for row in rows} == assign_colours(results)


def test_pairs_are_seen_from_the_better_backbone() -> None:
    results, _ = make_run([f"c{i}" for i in range(12)], backbones=4)
    rank = {one.name: place for place, one in enumerate(sort_best_first(results))}
    rows, _ = compare_pairs(results, 0.01)
    assert len(rows) == 6
    for row in rows:
        assert rank[row.pair.a] < rank[row.pair.b]
        assert row.pair.difference.low <= row.pair.difference.value <= row.pair.difference.high
        assert row.pair.difference.value >= 0
        assert row.pair.conclusion != "b is better"


def test_a_turned_pair_says_the_same() -> None:
    results, _ = make_run([f"c{i}" for i in range(12)], backbones=4)
    said = {frozenset((pair.a, pair.b)): pair for pair in results.pairs}
    for row in compare_pairs(results, 0.01)[0]:
        original = said[frozenset((row.pair.a, row.pair.b))]
        only = {original.a: original.only_a, original.b: original.only_b}
        assert (row.pair.only_a, row.pair.only_b) == (only[row.pair.a], only[row.pair.b])
        assert abs(row.pair.difference.value) == abs(original.difference.value)
        assert row.pair.difference.high - row.pair.difference.low == (
            original.difference.high - original.difference.low
        )


def test_a_turned_pair_without_a_difference_has_no_sign() -> None:
    results, _ = make_run([f"c{i}" for i in range(12)])
    (pair,) = results.pairs
    best = sort_best_first(results)[0].name
    worse = next(one.name for one in results.backbones if one.name != best)
    level = replace(pair, a=worse, b=best, difference=replace(pair.difference, value=0.0, low=-0.01, high=0.0))
    ((row,), _) = compare_pairs(replace(results, pairs=(level,)), 0.01)
    assert row.pair.a == best
    assert math.copysign(1.0, row.pair.difference.value) == 1.0
    assert math.copysign(1.0, row.pair.difference.low) == 1.0


def test_the_images_of_a_pair_add_up() -> None:
    results, predictions = make_run([f"c{i}" for i in range(12)])
    ((row,), _) = compare_pairs(results, 0.01)
    first, second = (predictions[name] for name in (row.pair.a, row.pair.b))
    right = [one.probability_NC.argmax(axis=1) == one.label_N for one in (first, second)]
    assert row.both == int((right[0] & right[1]).sum())
    assert row.neither == int((~right[0] & ~right[1]).sum())
    assert row.both + row.neither + row.pair.only_a + row.pair.only_b == len(first.ids)


def test_one_backbone_has_no_pairs() -> None:
    results, _ = make_run(["a", "b"], backbones=1)
    assert compare_pairs(results, 0.01) == ([], "")
