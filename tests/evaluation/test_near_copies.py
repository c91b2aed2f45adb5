import numpy as np

from vitrail.evaluation.near_copies import accuracy_without
from vitrail.heads.predictions import Predictions
from vitrail.statistics.intervals import wilson


def predictions() -> Predictions:
    probability_NC = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    return Predictions(
        name="one", ids=("a", "b", "c", "d"), label_N=np.array([0, 0, 0, 0]), probability_NC=probability_NC
    )


def test_leaked_images_are_left_out_of_both_counts():
    assert accuracy_without(predictions(), ["a", "x"], level=0.95) == wilson(2, 3, 0.95)
    assert accuracy_without(predictions(), ["c"], level=0.9) == wilson(3, 3, 0.9)


def test_there_is_nothing_to_say_where_nothing_or_everything_leaked():
    assert accuracy_without(predictions(), ["x"], level=0.95) is None
    assert accuracy_without(predictions(), ["a", "b", "c", "d"], level=0.95) is None
