from vitrail.data.cautions import find_cautions
from vitrail.data.duplicates import Duplicates


def said(duplicates: Duplicates | None = None, animations: int = 0, **sizes: int) -> list[str]:
    return list(find_cautions(sizes or {"cat": 30, "dog": 30}, duplicates or Duplicates(), animations=animations))


def test_sound_data_raise_no_warning():
    assert said() == []


def test_unequal_classes_are_named_with_their_sizes():
    (warning,) = said(cat=300, dog=30)
    assert "cat, has 300" in warning
    assert "dog, has 30" in warning
    assert "balanced accuracy" in warning
    assert said(cat=299, dog=30) == []


def test_small_classes_are_named():
    (warning,) = said(cat=20, dog=19, **{f"c{number}": 8 for number in range(7)})
    assert warning.startswith("Fewer than 20 images of")
    assert "and 3 more" in warning


def test_copies_leakage_and_animations_are_counted():
    warnings = said(
        Duplicates(
            files=3, examples=2, two_labels=1, two_labels_files=2, across_splits=4, joined_groups=5, cut_from_splits=6
        ),
        animations=1,
    )
    assert len(warnings) == 6
    for words in (
        "3 files are byte for byte",
        "2 files are set aside",
        "4 images are in more than one",
        "5 groups were merged",
    ):
        assert any(words in warning for warning in warnings), words
    assert sum("Leakage between the given splits" in warning for warning in warnings) == 2
    assert any(warning.startswith("1 file is animated") for warning in warnings)


def test_class_names_that_read_alike_are_named():
    (warning,) = find_cautions({"Cat": 30, "cat": 30, "1": 30, "1.0": 30, "dog": 30}, Duplicates(), animations=0)
    assert "1 and 1.0, Cat and cat" in warning
    assert "give it one name" in warning


def test_classes_that_may_be_missing_labels_or_no_text_are_named():
    missing, escaped = find_cautions({"nan": 30, "caf\\xe9": 30, "NA": 30}, Duplicates(), animations=0)
    assert "called nan" in missing
    assert "caf\\xe9" in escaped
