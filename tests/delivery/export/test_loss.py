"""The rule by which an export in a reduced precision is accepted or refused."""

import numpy as np
import pytest

from vitrail.delivery.export.loss import MOST_LOSS, check_loss, least_images
from vitrail.evaluation import Criteria, Pair
from vitrail.evaluation.deciding_metric import DecidingMetric
from vitrail.evaluation.pairs import judge_pairs
from vitrail.statistics.paired import paired_difference


def pair(n: int, *, only_export: int, only_run: int, group_N: np.ndarray | None = None) -> Pair:
    """The export right alone on the first images, the run alone on the next ones, both on the rest."""
    export_N, run_N = np.ones(n, bool), np.ones(n, bool)
    run_N[:only_export] = False
    export_N[only_export : only_export + only_run] = False
    return judge_pairs({"export": export_N, "run": run_N}, group_N, Criteria())[0]


@pytest.mark.parametrize(
    ("n", "only_export", "only_run", "outcome"),
    [
        (2040, 0, 0, "excluded"),
        (2040, 2, 2, "excluded"),
        (2040, 20, 20, "undecided"),
        (2040, 0, 30, "shown"),
        (200, 0, 0, "undecided"),
        (200, 2, 0, "undecided"),
        (200, 0, 30, "shown"),
        (100_000, 0, 60, "excluded"),  # a loss is certain, and smaller than 0.3 points
        (12, 0, 0, "undecided"),
    ],
)
def test_the_three_outcomes(n: int, only_export: int, only_run: int, outcome: str):
    check = check_loss(pair(n, only_export=only_export, only_run=only_run), "accuracy", accepted=False)
    assert check.outcome == outcome
    assert (check.fault() is None) is (outcome == "excluded")
    assert check.fault() in (None, check.conclusion)


def test_a_loss_is_accepted_only_on_request():
    check = check_loss(pair(2040, only_export=0, only_run=30), "balanced accuracy", accepted=True)
    assert (check.outcome, check.accepted, check.fault()) == ("shown", True, None)
    assert check.conclusion.startswith("its balanced accuracy is lower than the run's")


def test_a_small_test_is_said_to_be_too_small_whatever_it_shows():
    small = check_loss(pair(200, only_export=0, only_run=0), "accuracy", accepted=False)
    assert "a test of 200 images cannot exclude it, even if no answer differs; that takes 1,277" in small.conclusion
    assert "(export less run: +0.00 points [-1.88, 1.88])" in small.conclusion


def test_a_test_that_is_large_enough_is_said_to_have_too_many_other_answers():
    many = check_loss(pair(2040, only_export=20, only_run=21), "accuracy", accepted=False)
    assert "of 2,040 images the export alone gets 20 right and the run alone 21, too many for" in many.conclusion


def test_images_of_one_group_count_as_fewer():
    """Two photographs of one thing change their answer together."""
    group_N = np.arange(2040) // 2
    assert check_loss(pair(2040, only_export=2, only_run=2), "accuracy", accepted=False).outcome == "excluded"
    grouped = check_loss(pair(2040, only_export=2, only_run=2, group_N=group_N), "accuracy", accepted=False)
    assert grouped.outcome == "undecided"


def test_the_weights_of_balanced_accuracy_count():
    """Two images of a class of ten are a loss of 10 points of balanced accuracy."""
    label_N = np.where(np.arange(2040) < 10, 0, 1)
    export_N = np.arange(2040) >= 2
    metric = DecidingMetric.of("balanced", label_N)
    balanced = judge_pairs({"export": export_N, "run": np.ones(2040, bool)}, None, Criteria(), metric)[0]
    assert check_loss(balanced, metric.word, accepted=False).outcome != "excluded"


@pytest.mark.parametrize("most", [MOST_LOSS, 0.01])
def test_the_least_number_of_images_is_that_of_the_interval(most: float):
    least = least_images(most, 0.95)
    assert paired_difference(0, 0, least, 0.95).low > -most
    assert paired_difference(0, 0, least - 1, 0.95).low <= -most
