import numpy as np
import pytest

from vitrail.evaluation.winners_curse import correct_winner, say_winner
from vitrail.statistics.intervals import wilson


def draw(draws, accuracies, n):
    return {f"m{k}": draws.random(n) < accuracy for k, accuracy in enumerate(accuracies)}


def correct(right, seed=0, **further):
    return correct_winner(right, generator=np.random.default_rng(seed), **further)


def test_of_equal_backbones_the_best_is_too_good_and_the_correction_takes_it_all():
    draws = np.random.default_rng(0)
    found = [correct(draw(draws, [0.8] * 6, 300)) for _ in range(200)]
    seen, corrected = (np.mean([one.seen for one in found]), np.mean([one.corrected.value for one in found]))
    assert seen > 0.82  # the twin: what would be reported without it
    assert corrected == pytest.approx(0.8, abs=2.5 * np.std([one.corrected.value for one in found]) / 200**0.5)


@pytest.mark.parametrize("units", [1, 2, 3, 7])
def test_few_images_and_images_that_all_or_none_get_right_still_have_a_corrected_figure(units):
    for right in (True, False):
        found = correct({"a": np.full(units, right), "b": np.full(units, right)})
        assert (found.seen, found.luck, found.corrected.value) == (right, 0.0, right)
    mixed = correct({"a": np.arange(units) == 0, "b": np.arange(units) == units - 1})
    assert mixed.corrected.low <= mixed.corrected.value <= mixed.seen


def test_of_two_that_are_right_on_different_images_the_score_is_that_of_the_other_folds_choice():
    """With as many images as folds, each fold is one image and is scored by the best on the other four."""
    right = {"a": np.array([1, 1, 1, 0, 0], bool), "b": np.array([0, 0, 1, 1, 0], bool)}
    # Without image 0 or 1 both have 2: half of a's 1 each. Without 2, 3 or 4 a is ahead, by 2 to 1, 3 to 1, 3 to 2.
    assert correct(right).corrected.value == pytest.approx((0.5 + 0.5 + 1 + 0 + 0) / 5)


def test_its_interval_covers_the_true_accuracy_of_the_chosen_backbone():
    draws = np.random.default_rng(1)
    found = [correct(draw(draws, [0.8] * 6, 300)) for _ in range(150)]
    assert np.mean([one.corrected.low <= 0.8 <= one.corrected.high for one in found]) >= 0.93
    plain = [wilson(round(one.seen * 300), 300) for one in found]
    assert np.mean([one.low <= 0.8 <= one.high for one in plain]) < 0.93


def test_a_clear_winner_had_no_luck_in_being_chosen():
    found = correct(draw(np.random.default_rng(2), [0.9, 0.5], 2000))
    assert found.name == "m0"
    assert found.luck < 0.0005
    assert say_winner(found) == ()


def test_one_backbone_was_not_chosen():
    assert correct(draw(np.random.default_rng(3), [0.9], 50)) is None


def test_the_same_seed_gives_the_same_correction():
    right = draw(np.random.default_rng(4), [0.8, 0.79, 0.78], 200)
    assert correct(right) == correct(right)
    assert "best of 3" in say_winner(correct(right))[0]


def test_groups_are_drawn_whole_and_make_luck_larger_and_the_interval_wider():
    """Every image ten times over tells no more than once; taken as independent it would seem to."""
    draws = np.random.default_rng(5)
    single = draw(draws, [0.8] * 4, 100)
    copied = {name: np.repeat(right_N, 10) for name, right_N in single.items()}
    group_N = np.repeat(np.arange(100), 10)
    generator = np.random.default_rng(0)
    found, alone = correct_winner(copied, group_N, generator=generator), correct_winner(copied, generator=generator)
    wanted = correct(single)
    assert abs(found.luck - wanted.luck) < 0.003
    assert alone.luck < 0.6 * wanted.luck
    assert found.corrected.high - found.corrected.low > 2 * (alone.corrected.high - alone.corrected.low)


def test_candidates_that_left_before_the_test_widen_the_interval_and_change_nothing_else():
    right = draw(np.random.default_rng(0), [0.8, 0.7], 300)
    alone, with_left = correct(right), correct(right, left=10)
    assert (with_left.of, with_left.seen, with_left.corrected.value) == (2, alone.seen, alone.corrected.value)
    hits = int(right[with_left.name].sum())
    wide = wilson(hits, 300, 1 - 0.05 / 12)
    assert (with_left.corrected.low, with_left.corrected.high) == pytest.approx((wide.low, wide.high))
