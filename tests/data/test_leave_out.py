import pytest

from vitrail.core.errors import DataError
from vitrail.data.leave_out import MOST_FOLDS, plan_from_values

CLASSES = ("cat", "dog", "eel")


def test_each_value_is_left_out_and_images_without_a_known_one_are_counted():
    learnt = [("A", 0), ("A", 1), ("B", 0), ("B", 2), (None, 1), (None, 2)]
    plan = plan_from_values("camera", learnt, {"1": "A", "2": "B", "3": None, "4": "Z", "5": "B"}, CLASSES)
    assert plan.fold_of == {"A": 0, "B": 1}
    assert plan.value_of == {"1": "A", "2": "B", "5": "B"}
    assert (plan.folds, plan.without_value, plan.new_already) == (2, 1, 1)
    assert plan.kept_share == pytest.approx(2 / 6)  # A is left out, and the image without a camera with it
    assert plan.lost == ("dog", "eel")


def test_many_values_share_ten_even_folds():
    sizes = {f"{number:02d}": 1 + number % 7 for number in range(43)}
    learnt = [(value, row % 2) for value, size in sizes.items() for row in range(size)]
    plan = plan_from_values("patient", learnt, {value: value for value in sizes}, CLASSES)
    assert plan.folds == MOST_FOLDS
    loads = [sum(sizes[value] for value, fold in plan.fold_of.items() if fold == number) for number in range(10)]
    assert max(loads) - min(loads) <= 7
    assert plan.kept_share == pytest.approx(1 - max(loads) / len(learnt))


def test_a_class_of_one_value_is_named():
    plan = plan_from_values("camera", [("A", 0), ("A", 1), ("A", 2), ("B", 0), ("B", 2)], {"1": "A", "2": "B"}, CLASSES)
    assert plan.lost == ("dog",)


@pytest.mark.parametrize(
    ("learnt", "tested", "said"),
    [
        ([("A", 0), (None, 1)], {"1": "A"}, "Train and val have one value of camera"),
        ([(None, 0), (None, 1)], {"1": "A"}, "Train and val have no value of camera"),
        ([("A", 0), ("A", 1), ("B", 1)], {"1": "A", "2": "B"}, "Without the images of camera A fewer than two classes"),
        ([("A", 0), ("B", 1)], {"1": "A", "2": "Z"}, "Fewer than two values of camera are in both"),
    ],
)
def test_what_cannot_be_compared_is_an_error(learnt: list, tested: dict, said: str):
    with pytest.raises(DataError, match=said):
        plan_from_values("camera", learnt, tested, CLASSES)
