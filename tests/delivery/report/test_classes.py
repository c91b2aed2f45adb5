"""Accuracy class by class."""

from vitrail.delivery.report.classes import MOST_CLASSES, list_classes
from vitrail.evaluation import ClassMetrics
from vitrail.statistics.intervals import wilson


def _class(name: str, hits: int, n: int) -> ClassMetrics:
    return ClassMetrics(name=name, n=n, recall=wilson(hits, n) if n else None, precision=None, f1=None)


def test_the_worst_class_comes_first_and_one_without_images_last() -> None:
    listed = list_classes([_class("c", 9, 12), _class("none", 0, 0), _class("a", 3, 12), _class("b", 9, 12)])
    assert [row.metrics.name for row in listed.rows] == ["a", "b", "c", "none"]
    assert [row.hits for row in listed.rows] == [3, 9, 9, 0]
    assert listed.rows[-1].mark is None


def test_classes_with_hardly_any_image_are_counted() -> None:
    assert list_classes([_class("a", 3, 9), _class("b", 3, 10)]).few == 1


def test_of_too_many_classes_the_best_are_left_out() -> None:
    listed = list_classes([_class(f"c{i}", i % 10, 10) for i in range(MOST_CLASSES + 7)])
    assert (len(listed.rows), listed.left_out) == (MOST_CLASSES, 7)
