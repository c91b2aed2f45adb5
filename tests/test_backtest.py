"""The backtest of `benchmarks/backtest.py` on features whose classes are known."""

from itertools import pairwise

import numpy as np
import pytest
from benchmarks.backtest import NOISES, WORLDS, draw_world, merge_kinds, run
from benchmarks.backtest_score import Notes
from benchmarks.backtest_table import BELOW, NEAR, make_table
from benchmarks.problems import WEIGHTS

FLOWERS = WORLDS.index(("flowers", 4, 20, (100, 150, 200)))
NOISY = FLOWERS + len(WORLDS)


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    """20 flowers of 40 images; every backbone sees a flower's own direction with noise."""
    draws = np.random.default_rng(0)
    label_N = np.repeat(np.arange(20), 40)
    rows = {
        f"flowers/{name}": (np.eye(20)[label_N] + 0.25 * draws.normal(size=(800, 20))).astype(np.float32)
        for name in WEIGHTS
    }
    return {"flowers/labels": label_N, **rows}


def test_a_world_leaves_out_all_images_that_it_does_not_draw(stored):
    world = draw_world(stored, FLOWERS)
    drawn_ND, rest_MD = world.rows[next(iter(WEIGHTS))]
    every_ND = np.concatenate([drawn_ND, rest_MD])
    assert len(world.label_N) == len(drawn_ND)
    assert len(world.rest_M) == len(rest_MD)
    assert len(np.unique(every_ND, axis=0)) == 800
    assert (world.rest_M == world.clean_M).all()
    assert sorted(set(world.label_N)) == [0, 1, 2, 3]


def test_a_tenth_of_all_labels_is_changed_in_every_second_round(stored):
    world = draw_world(stored, NOISY)
    assert world.noise == NOISES[1]
    assert 0.06 < (world.rest_M != world.clean_M).mean() < 0.14


def test_the_halves_of_a_backbone_share_no_feature(stored):
    world = draw_world(stored, FLOWERS)
    whole, one, two = (
        world.rows[f"resnet50.tv_in1k{half}"][0].sum(axis=1, dtype=np.float64) for half in ("", " half 1", " half 2")
    )
    assert one + two == pytest.approx(whole, abs=1e-5)


def test_merged_classes_are_neighbours_in_the_order():
    order = np.random.default_rng(0).permutation(120)
    class_of = merge_kinds(order, 10, 120, np.random.default_rng(1))
    along = [class_of[int(kind)] for kind in order]
    changes = sum(a != b for a, b in pairwise(along))
    sizes = np.bincount(along)
    assert len(sizes) == 10
    assert changes in (9, 10)  # the turned order cuts one class in two
    assert sizes.max() <= 3.5 * sizes.min()


def test_a_run_scores_every_claim_and_the_table_says_them(stored):
    records = [run(draw_world(stored, number), number) | {"seconds": 1.0} for number in (FLOWERS, NOISY)]
    for record in records:
        assert len(record["held"]["top1"]) == 6
        assert len(record["held"]["pairs together"]) == 1
        assert len(record["held"]["retrained"]) == 6
        assert set(record["width"]["forecast"]) == set(record["width"]["forecast of this head"])
    lines = make_table(records)
    (accuracy,) = [line for line in lines if line.startswith("| accuracy of a backbone | 95%")]
    assert accuracy.count("|") == 9
    assert any(line.startswith("| sets hold the class: lac | 90 |") for line in lines)
    assert "2 runs, 1 of them with a tenth of all labels changed" in "\n".join(lines)


@pytest.mark.parametrize(("held", "mark"), [(160, BELOW), (188, NEAR), (192, "")])
def test_a_claim_below_its_bar_is_marked(held, mark):
    lines = make_table([_record(number, held=number < held) for number in range(200)])
    (line,) = [line for line in lines if line.startswith("| accuracy of a backbone | 95%")]
    assert line.endswith(f"| {mark} |")


def _record(number: int, *, held: bool) -> dict[str, object]:
    notes = Notes()
    notes.claim("top1", held, 0.1)
    notes.claim("forecast", True, 0.1)
    notes.claim("forecast of this head", True, 0.1)
    for key in ("variance stated", "variance true", "noise of the gain", "noise of this gain"):
        notes.measure(key, 0.01)
    facts = {"data": "dogs", "noise": 0.0, "images": 100, "test": 20, "left": 4_700, "seconds": 1.0}
    return {"run": number, **facts, **notes.as_json()}
