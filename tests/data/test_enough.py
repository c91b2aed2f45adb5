import pytest

from tests.data.pictures import dataset_of
from vitrail.core.errors import DataError
from vitrail.data.enough import join_names, require_enough
from vitrail.data.split import make_split


def rows(*sizes: int):
    return [(f"{label}-{number:03}", label, None, None) for label, size in enumerate(sizes) for number in range(size)]


def refusal(dataset, **options) -> str:
    with pytest.raises(DataError) as error:
        require_enough(dataset, **options)
    return str(error.value)


def test_eight_images_a_class_are_enough():
    require_enough(dataset_of(rows(8, 8), 2))


def test_a_class_with_too_few_images_is_named_with_its_count_and_what_to_do():
    message = refusal(dataset_of(rows(8, 7, 20, 1), 4))
    assert "2 classes have fewer than 8 usable images" in message
    assert "class 3 (1), class 1 (7)" in message
    assert "Add images, or remove or merge" in message


def test_a_class_whose_images_were_all_set_aside_is_an_error():
    assert "class 2 (0)" in refusal(dataset_of(rows(8, 8), 3))


def test_a_single_class_is_an_error():
    assert "one class, class 0" in refusal(dataset_of(rows(50), 1))


def test_images_found_unreadable_later_count_no_more():
    """The test labels are sealed by then; their number a class is all that is asked of them."""
    whole = dataset_of(rows(9, 9), 2)
    dataset, _, sealed = make_split(whole)
    require_enough(dataset, sealed=sealed)
    require_enough(dataset, sealed=sealed, without=["0-000", "1-005"])
    assert "class 0 (7)" in refusal(dataset, sealed=sealed, without=["0-000", "0-005"])
    assert sealed.opened_with is None


def test_a_test_split_of_which_no_image_can_be_read_is_refused():
    dataset, split, sealed = make_split(dataset_of(rows(40, 40), 2))
    require_enough(dataset, sealed=sealed, without=list(split.test)[1:])
    assert "No images are left for test in rows" in refusal(dataset, sealed=sealed, without=list(split.test))


def test_a_class_that_is_only_tested_is_refused():
    given = [(f"{label}-{n}", label, None, "test" if label or n < 3 else "train") for label in (0, 1) for n in range(9)]
    with pytest.raises(DataError, match="No training images are left of class 1"):
        make_split(dataset_of(given, 2))


def test_of_many_names_ten_are_listed():
    assert join_names([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
