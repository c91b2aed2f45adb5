from pathlib import Path

import pytest

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.sources.folder import FolderSource


def make(root: Path, *paths: str) -> FolderSource:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    return FolderSource(root)


def listed(source: FolderSource) -> tuple[set[tuple[str, str, str | None]], dict[str, str]]:
    found = list(source.list_files())
    entries = {(each.path, each.label, each.split) for each in found if isinstance(each, ListedFile)}
    return entries, {each.path: each.reason for each in found if isinstance(each, SetAside)}


def test_the_first_folder_is_the_label_at_any_depth(tmp_path):
    source = make(tmp_path, "cat/1.jpg", "cat/kittens/2.jpg", "dog/3")
    assert listed(source) == (
        {("cat/1.jpg", "cat", None), ("cat/kittens/2.jpg", "cat", None), ("dog/3", "dog", None)},
        {},
    )
    assert source.read("cat/kittens/2.jpg") == b"cat/kittens/2.jpg"
    assert source.name == tmp_path.name


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Train", "valid", "TEST"), ("training", "validation", "testing")]
)
def test_split_folders_on_top_are_honoured_under_any_of_their_names(tmp_path, names):
    entries, aside = listed(make(tmp_path, *(f"{name}/cat/1.jpg" for name in names)))
    assert {(label, split) for _, label, split in entries} == {("cat", "train"), ("cat", "val"), ("cat", "test")}
    assert not aside


def test_a_lone_train_folder_is_a_split(tmp_path):
    assert listed(make(tmp_path, "train/cat/1.jpg"))[0] == {("train/cat/1.jpg", "cat", "train")}


def test_a_class_may_be_called_train(tmp_path):
    entries, _ = listed(make(tmp_path, "car/1", "plane/2", "train/3"))
    assert entries == {("car/1", "car", None), ("plane/2", "plane", None), ("train/3", "train", None)}


def test_files_beside_train_and_test_are_set_aside(tmp_path):
    entries, aside = listed(make(tmp_path, "train/cat/1", "test/cat/2", "notes/a.txt", "notes/deep/b.txt"))
    assert entries == {("train/cat/1", "cat", "train"), ("test/cat/2", "cat", "test")}
    assert set(aside) == {"notes/a.txt", "notes/deep/b.txt"}
    assert all("outside the folders" in reason for reason in aside.values())


def test_files_in_no_class_folder_are_set_aside(tmp_path):
    entries, aside = listed(make(tmp_path, "README.txt", "train/cat/1", "train/2.jpg", "test/cat/3"))
    assert len(entries) == 2
    assert aside == {
        "README.txt": "it is not in a class folder",
        "train/2.jpg": "it is in train but not in a class folder",
    }


def test_an_empty_class_folder_is_named(tmp_path):
    (tmp_path / "bird").mkdir()
    (tmp_path / "fish" / ".git").mkdir(parents=True)
    _, aside = listed(make(tmp_path, "cat/1"))
    assert aside == dict.fromkeys(("bird", "fish"), "the folder of this class is empty")


def test_spaces_and_accents_are_names_like_others(tmp_path):
    source = make(tmp_path, "chat siamois/été 1.jpg")
    assert listed(source)[0] == {("chat siamois/été 1.jpg", "chat siamois", None)}
    assert source.read("chat siamois/été 1.jpg") == "chat siamois/été 1.jpg".encode()


def test_bytes_that_are_no_text_are_read_back(tmp_path):
    import os

    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes no such name")
    (folder / "1").write_bytes(b"pixels")
    ((path, label, _),) = listed(FolderSource(tmp_path))[0]
    assert (path, label) == (r"caf\xe9/1", r"caf\xe9")
    assert FolderSource(tmp_path).read(path) == b"pixels"


def test_a_folder_that_cannot_be_listed_is_one_sentence(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(DataError, match="cannot be listed: Permission denied"):
        list(FolderSource(tmp_path).list_files())
