from vitrail.data.columns import FurtherColumns
from vitrail.data.dataset import ListedFile, SplitName
from vitrail.data.left_alone import LeftAlone


def cautions(*paths: str, split: SplitName | None = None, group: str | None = None, **columns: list[str]) -> list[str]:
    """Of files with these paths, and with values of further columns in their order."""
    cells = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    paths = paths or tuple(f"{number}.jpg" for number in range(len(cells)))
    files = [
        ListedFile(path=path, label="cat", split=split, group=group, further=cells[number] if cells else {})
        for number, path in enumerate(paths)
    ]
    left_alone, further = LeftAlone(), FurtherColumns()
    assert list(left_alone.note(further.note(files))) == files
    return list(left_alone.find_cautions(further))


def test_folders_named_like_splits_that_are_not_read_as_such_are_named():
    (caution,) = cautions("cat/train/1.jpg", "cat/test/2.jpg", "dog/3.jpg")
    assert caution.startswith("cat/test and cat/train have the name of splits, but Vitrail draws its own split")
    assert cautions("cat/train/1.jpg", "cat/test/2.jpg", "dog/3.jpg", split="train") == []
    assert "train_cats and" not in cautions("train_cats/1.jpg", "test_cats/2.jpg")[0]
    assert cautions("train_cats/1.jpg", "test_cats/2.jpg")[0].startswith("test_cats and train_cats")


def test_a_folder_called_train_beside_others_is_a_class_unless_it_has_folders():
    assert cautions("train/1.jpg", "car/2.jpg") == []
    (caution,) = cautions("train/cat/1.jpg", "more/2.jpg")
    assert caution.startswith("train has the name of a split")


def test_words_in_names_that_do_not_belong_together_say_nothing():
    assert cautions("steam train/1.jpg", "test tube/2.jpg") == []


def test_a_column_of_splits_under_another_name_is_named():
    (caution,) = cautions(subset=["train", "Test", "train"])
    assert "The column subset has the values Test and train" in caution
    assert "rename the column to split" in caution
    assert cautions(subset=["train", "test", "train"], split="train") == []
    assert cautions(subset=["train", "old", "train"]) == []


def test_a_column_of_patients_or_of_folds_is_named():
    (caution,) = cautions(patient_id=["p1", "p1", "p2", ""])
    assert "The column patient_id has 2 values for 3 images" in caution
    assert "rename the column to group" in caution
    assert cautions(patient_id=["p1", "p1", "p2"], group="g") == []
    assert cautions(image_id=["1", "1"], camera=["a", "b"]) == []
    assert cautions(patient=["p1", "p2"]) == []
    assert "not used as folds" in cautions(fold=["0", "1"])[0]
