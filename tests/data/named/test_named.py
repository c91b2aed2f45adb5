import pytest

from tests.data.named.layouts.miniature import read_card, serve
from tests.data.named.layouts.test_oxford_pets import archives
from tests.fetch.web_server import serving_files
from vitrail.core.errors import UsageError
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data.named import (
    NamedData,
    NamedSource,
    crop_to_boxes,
    find_dataset_card,
    find_named,
    open_data,
)
from vitrail.data.sources import DigitsSource, FolderSource


def test_a_name_its_alias_and_its_prefix_mean_the_same():
    for name in ("oxford-pets", "pets", "Oxford-Pets", "dataset:pets", "dataset:oxford-pets"):
        assert str(find_named(name)) == "dataset:oxford-pets"


def test_a_folder_of_that_name_wins_and_the_prefix_is_never_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stanford-dogs").mkdir()
    (tmp_path / "dataset:stanford-dogs").mkdir()
    assert isinstance(open_data("stanford-dogs", Resources()), FolderSource)
    named = open_data("dataset:stanford-dogs", Resources())
    assert isinstance(named, NamedSource)
    assert named.name == "stanford-dogs"


def test_paths_urls_and_nothing_are_not_names(tmp_path):
    (tmp_path / "cifar-10").mkdir()
    for data in (None, tmp_path, str(tmp_path / "cifar-10"), "./cifar-10", "s3://bucket/cifar-10", "a.csv"):
        assert find_named(data) is None
    assert isinstance(open_data(None, Resources()), DigitsSource)


@pytest.mark.parametrize(("wrong", "near"), [("stanford-dog", "stanford-dogs"), ("cifar", "cifar-10, cifar-100")])
def test_an_unknown_name_is_answered_with_near_ones(wrong, near):
    with pytest.raises(UsageError, match=rf"There is nothing at {wrong}, and no data set .*similar names are {near}"):
        find_named(wrong)
    with pytest.raises(UsageError, match=rf"There is no data set '{wrong}'; similar names are {near}"):
        find_named(f"dataset:{wrong}")


def test_a_name_like_no_other_is_answered_as_a_path():
    with pytest.raises(UsageError, match=r"There is nothing at zzzz: give a folder .*`vitrail datasets`"):
        open_data("zzzz", Resources())
    with pytest.raises(UsageError, match=r"There is no data set 'zzzz'\. `vitrail datasets` lists all"):
        find_dataset_card("zzzz")


def test_an_empty_name_is_not_the_current_folder():
    with pytest.raises(UsageError, match="The name of the data is empty: give a folder"):
        open_data("", Resources())


def test_only_named_data_sets_with_boxes_are_cropped(tmp_path):
    assert crop_to_boxes("dogs") == crop_to_boxes("dataset:stanford-dogs:boxes") == "dataset:stanford-dogs:boxes"
    assert find_named("dataset:dogs:boxes").boxes
    for data in ("pets", "dataset:pets:boxes"):
        with pytest.raises(UsageError, match="Oxford-IIIT Pets has no boxes to crop to"):
            crop_to_boxes(data)
    for data in (tmp_path, None):
        with pytest.raises(UsageError, match=r"--crop-to-boxes .*cub-200-2011, stanford-dogs"):
            crop_to_boxes(data)
    with pytest.raises(UsageError, match="no data set"):
        find_named("dataset:stanford-dogs:boxes:boxes")


def test_nothing_is_fetched_before_the_images_are_listed(tmp_path):
    assert open_data("dataset:food-101", Resources(cache=tmp_path, offline=True)).name == "food-101"
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_that_is_not_whole_is_named_with_both_counts(tmp_path):
    notes = []

    class Notes(Silent):
        def note(self, message):
            notes.append(message)

    with serving_files() as web:
        card = serve(web, "oxford-pets", archives())
        list(NamedSource(NamedData(card), Resources(cache=tmp_path, progress=Notes())).list_files())
        assert notes == [
            "The images of oxford-pets are not all those that were published: 12 train, 8 test instead of 3,680 train, "
            "3,669 test."
        ]
        assert read_card(card, tmp_path).name == "oxford-pets"
