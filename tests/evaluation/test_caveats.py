"""What is said beside a decision, and when."""

import numpy as np

from vitrail.evaluation.caveats import ALWAYS, accuracy_without, find_caveats
from vitrail.evaluation.decision import Contender
from vitrail.evaluation.pairs import Pair, conclude
from vitrail.heads.head import Predictions
from vitrail.statistics.intervals import wilson
from vitrail.statistics.paired import paired_difference, visible_difference


def caveats(labels_C, correct, *, only=None, groups=None, visible=None):
    n = int(np.sum(labels_C))
    contenders = [Contender(name="vit", accuracy=wilson(correct, n), gmacs=4.0, licence="mit")]
    pairs = []
    if only:
        difference = paired_difference(*only, n)
        pairs.append(
            Pair(
                a="vit",
                b="resnet",
                difference=difference,
                only_a=only[0],
                only_b=only[1],
                discordance=(sum(only) + 2) / (n + 2),
                mcnemar_p=1.0,
                adjusted_p=1.0,
                equivalence_p=1.0,
                loss_a=0.0 - difference.low,
                loss_b=difference.high,
                conclusion=conclude(difference, 0.01),
                design_effect=1.0,
                visible=visible or visible_difference((sum(only) + 2) / (n + 2), n),
            )
        )
    classes = [f"c{i}" for i in range(len(labels_C))]
    groups = groups or [str(i) for i in range(n)]
    return find_caveats(contenders, pairs, np.array(labels_C), classes, groups)


def test_a_fair_test_set_gets_only_the_caveat_that_always_applies():
    assert caveats([100] * 10, 900) == (ALWAYS,)


def test_a_small_test_set_gets_a_caveat_with_its_precision():
    said = caveats([30, 30], 55, only=(6, 3))
    assert said[0] == (
        "With 60 test images an accuracy is known to about ±7.3 points, and two backbones can be told apart only if "
        "they differ by about 15.3 points or more."
    )
    assert caveats([30, 30], 55)[0] == "With 60 test images an accuracy is known to about ±7.3 points."


def test_what_few_images_can_show_is_what_the_pairs_say_of_it():
    """Groups, and tests of many pairs, make less visible than so many independent images would."""
    said = caveats([30, 30], 55, only=(6, 3), visible=0.21)
    assert said[0].endswith("only if they differ by about 21 points or more.")


def test_tiny_and_absent_classes_are_named():
    said = caveats([200, 200, 3, 0, 0], 380)
    assert said[0] == "c3 and c4 have no test images and are not judged."
    assert said[1] == "1 of 5 classes has fewer than 5 test images (c2): figures of such a class mean little."
    assert caveats([200, 200, 0], 390)[0] == "c2 has no test images and is not judged."


def test_a_backbone_no_better_than_the_largest_class_gets_a_caveat():
    said = caveats([900, 100], 905)
    assert said[0] == (
        "The test images do not show that vit is better than always answering c0, "
        "which is right for 90.0% of the test images."
    )
    assert caveats([900, 100], 950) == (ALWAYS,)


def test_with_one_group_no_caveat_claims_that_intervals_allow_for_groups():
    said = caveats([200, 200], 380, groups=["one film"] * 400)
    assert said[0] == (
        "All 400 test images belong to one group: they do not show how accurate a backbone is on other groups, and "
        "the intervals treat the images as independent."
    )
    assert not any("allow for this" in one for one in said)
    assert caveats([1], 1, groups=["one film"])[-1] == ALWAYS
    assert not any("group" in one for one in caveats([1], 1, groups=["one film"]))


def test_a_caveat_says_that_groups_make_some_intervals_too_narrow():
    said = caveats([200, 200], 380, groups=[str(i // 4) for i in range(400)])
    assert said[0].startswith("The 400 test images come from 100 groups. The figures of each backbone, the pairs")


def four_predictions() -> Predictions:
    probability_NC = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    return Predictions(
        name="backbone", ids=("a", "b", "c", "d"), label_N=np.array([0, 0, 0, 0]), probability_NC=probability_NC
    )


def test_leaked_images_are_left_out_of_both_counts():
    assert accuracy_without(four_predictions(), ["a", "x"], level=0.95) == wilson(2, 3, 0.95)
    assert accuracy_without(four_predictions(), ["c"], level=0.9) == wilson(3, 3, 0.9)


def test_there_is_nothing_to_say_where_nothing_or_everything_leaked():
    assert accuracy_without(four_predictions(), ["x"], level=0.95) is None
    assert accuracy_without(four_predictions(), ["a", "b", "c", "d"], level=0.95) is None
