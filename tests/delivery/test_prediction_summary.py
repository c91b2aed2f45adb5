import numpy as np
import pytest

from vitrail.delivery.prediction import Prediction
from vitrail.delivery.prediction_summary import PredictionCounter, PredictionSummary, say_summary
from vitrail.statistics.intervals import wilson
from vitrail.statistics.metrics import rate


def predicted(label: str | None, true: str | None, number: int = 0, **facts: object) -> Prediction:
    top = () if label is None else ((label, 0.9),)
    given: dict[str, object] = {"error": "it is empty" if label is None else None, "id": f"{number:064x}"} | facts
    return Prediction(path="", label=label, probability=0.9, top=top, true_label=true, **given)  # type: ignore[arg-type]


def summarise(*predictions: Prediction) -> PredictionSummary:
    counter = PredictionCounter(("a", "b"))
    assert list(counter.watch(predictions)) == list(predictions)
    return counter.summary()


def test_every_image_is_answered_refused_or_unreadable():
    summary = summarise(predicted("a", None), predicted("a", None, doubt="unsure"), predicted(None, "a"))
    assert (summary.images, summary.answered, summary.refused, summary.unreadable) == (3, 1, 1, 1)
    assert summary.accuracy is summary.accuracy_of_all is None
    assert say_summary(summary) == ['3 images: 1 answered, 1 "I do not know", 1 unreadable.']


def test_accuracy_is_of_the_answers_and_of_all_by_wilson():
    right = [predicted("a", "a", number) for number in range(8)]
    wrong = [predicted("b", "a", 8), predicted("b", "a", 9, doubt="unsure"), predicted("a", "a", 10, doubt="unsure")]
    summary = summarise(*right, *wrong)
    assert summary.accuracy == wilson(8, 9)
    assert summary.accuracy_of_all == wilson(9, 11)
    assert say_summary(summary)[1] == (
        "Accuracy 88.9% [56.5, 98.0] of the 9 labelled images answered; 81.8% [52.3, 94.9] of all 11, if the refused "
        "ones had got their most probable class."
    )


def test_groups_and_copies_widen_the_interval():
    grouped = [
        predicted("a" if group < 6 else "b", "a", 10 * group + n, group=f"{group}")
        for group in range(8)
        for n in range(5)
    ]
    copies = [predicted("a" if image < 6 else "b", "a", image) for image in range(8) for _ in range(5)]
    right_N, group_N = np.repeat(np.arange(8) < 6, 5), np.repeat(np.arange(8), 5)
    assert summarise(*grouped).accuracy == summarise(*copies).accuracy == rate(right_N, group_N)


def test_an_image_that_the_head_learned_from_is_not_judged():
    splits = ("train", "val", "calibration", "test", None)
    summary = summarise(*(predicted("a", "a", number, run_split=split) for number, split in enumerate(splits)))
    assert (summary.learned, summary.tested) == (3, 1)
    assert summary.accuracy == wilson(2, 2)
    assert say_summary(summary)[2:] == [
        "1 labelled image is among the run's test images.",
        "3 labelled images are not judged: the run trained or chose with the same bytes.",
    ]


def test_labels_that_the_head_does_not_know_are_counted():
    summary = summarise(
        predicted("a", "z"), predicted("a", "y", doubt="unlike"), predicted("b", "z"), predicted(None, "x")
    )
    assert (summary.unknown, summary.unknown_refused, summary.unknown_labels) == (3, 1, {"y": 1, "z": 2})
    assert summary.accuracy_of_all is None
    assert say_summary(summary)[1] == (
        "3 labelled images are not judged: the head does not know the label, so no answer can be right (1 refused). "
        "y (1) and z (2)."
    )


@pytest.mark.parametrize(("count", "begin"), [(0, "0 images: 0 answered"), (1, "1 image: 1 answered")])
def test_sentences_read_for_none_and_one(count: int, begin: str):
    sentences = say_summary(summarise(*(predicted("a", "a") for _ in range(count))))
    assert sentences[0].startswith(begin)
    assert (
        sentences[1:] == ["Accuracy 100.0% [20.7, 100.0] of the 1 labelled image answered; none was refused."] * count
    )


def test_if_all_are_refused_the_most_probable_class_is_judged_alone():
    assert say_summary(summarise(predicted("a", "a", doubt="unsure")))[1] == (
        "No labelled image was answered; the most probable class is right in 100.0% [20.7, 100.0] of 1."
    )
