import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.sources.clutter import is_clutter
from vitrail.data.sources.folder import FolderSource
from vitrail.data.sources.tree import list_names, why_not_inside

PARTS = st.sampled_from(["cat", "dog", "train", "test", "val", "1.jpg", "2.jpg", ".hidden", "Thumbs.db", "more"])


def names(*listing: str, **content: bytes) -> list[ListedFile | SetAside]:
    return list(list_names(listing, "x.zip", lambda name: content["table"]))


def short(found: list[ListedFile | SetAside]) -> dict[str, tuple[str, str | None] | str]:
    return {each.path: (each.label, each.split) if isinstance(each, ListedFile) else each.reason for each in found}


def test_the_first_folder_is_the_label_and_one_folder_round_everything_is_not():
    plain = {"cat/1.jpg": ("cat", None), "dog/deep/2.jpg": ("dog", None)}
    assert short(names(*plain)) == plain
    assert short(names(*(f"pets/{name}" for name in plain))) == {f"pets/{name}": plain[name] for name in plain}
    assert short(names("cat/1.jpg", "cat/2.jpg")) == {"cat/1.jpg": ("cat", None), "cat/2.jpg": ("cat", None)}


def test_splits_on_top_are_honoured_also_below_a_wrapper():
    expected = {"d/train/cat/1": ("cat", "train"), "d/valid/cat/2": ("cat", "val"), "d/test/dog/3": ("dog", "test")}
    assert short(names(*expected)) == expected
    assert short(names("train/cat/1.jpg")) == {"train/cat/1.jpg": ("cat", "train")}


def test_clutter_is_passed_over():
    clutter = ("__MACOSX/cat/._1.jpg", "cat/.DS_Store", "dog/Thumbs.db", "#recycle/1.jpg", "@Recycle/2", "lost+found/3")
    assert set(short(names("cat/1.jpg", *clutter))) == {"cat/1.jpg"}


def test_a_manifest_on_top_says_it_all():
    table = b"path,label,split\nimages/1.jpg,cat,train\nimages/2.jpg,dog,test\nimages/3.jpg,dog,test\n"
    found = short(names("pets/list.csv", "pets/images/1.jpg", "pets/images/2.jpg", "pets/images/9.jpg", table=table))
    assert found["pets/images/1.jpg"] == ("cat", "train")
    assert found["pets/images/2.jpg"] == ("dog", "test")
    assert "row 4 of pets/list.csv names it" in found["pets/images/3.jpg"]
    assert found["pets/images/9.jpg"] == "pets/list.csv does not name it"


def test_a_manifest_on_top_of_a_folder_is_read_as_in_an_archive(tmp_path):
    files = {f"site{n % 2}/{n}.png": b"x" for n in range(4)} | {"site1/cafe\u0301.png": b"x"}
    rows = [f"{name},{'cat' if name > 'png' else 'dog'},{'test' if '3' in name else 'train'}" for name in files]
    table = "\n".join(["path,label,split", *rows, "gone.png,cat,train"]).replace("e\u0301", "\u00e9").encode()
    for wrapper in ("", "data/"):
        root = tmp_path / f"in {wrapper.strip('/')}"
        written = {
            wrapper + name: content for name, content in (files | {"labels.csv": table, "extra.txt": b""}).items()
        }
        for name, content in written.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        found = short(list(FolderSource(root).list_files()))
        assert found[f"{wrapper}site1/3.png"] == ("cat", "test")
        assert found[f"{wrapper}site1/cafe\u0301.png"] == ("cat", "train")
        assert found[f"{wrapper}extra.txt"] == f"{wrapper}labels.csv does not name it"
        assert f"row 7 of {wrapper}labels.csv names it" in str(found[f"{wrapper}gone.png"])
        in_zip = short(names(*written, table=table))
        assert in_zip.keys() == found.keys()
        assert {path: entry for path, entry in in_zip.items() if isinstance(entry, tuple)} == {
            path: entry for path, entry in found.items() if isinstance(entry, tuple)
        }


def test_a_table_on_top_that_is_no_manifest_says_so():
    assert "without the columns path and label" in short(names("a.csv", "cat/1", "dog/2", table=b"x,y\n"))["a.csv"]


def test_a_wrapper_is_looked_through_beside_other_files():
    assert short(names("README.md", "pets/cat/1.jpg", "pets/dog/2.jpg")) == {
        "README.md": "it is not in a class folder",
        "pets/cat/1.jpg": ("cat", None),
        "pets/dog/2.jpg": ("dog", None),
    }


@pytest.mark.parametrize(("train", "test"), [("seg_train", "seg_test"), ("training_set", "test_set"), ("train", "val")])
@pytest.mark.parametrize("twice", [True, False])
def test_split_words_inside_names_and_folders_named_twice_are_splits(train, test, twice):
    expected = {}
    for name in (train, test):
        split = "train" if name == train else "val" if name == "val" else "test"
        top = f"{name}/{name}" if twice else name
        expected |= {f"{top}/{label}/1.jpg": (label, split) for label in ("cat", "dog")}
    assert short(names(*expected)) == expected
    beside = short(names(*expected, "seg_pred/1.jpg", "more/2.jpg"))
    assert beside["seg_pred/1.jpg"] == f"it is outside the folders {min(train, test)}, {max(train, test)}"


@pytest.mark.parametrize(
    "classes",
    [("steam train", "test tube"), ("train_cats", "test_cats", "train_dogs", "test_dogs"), ("my_val", "a_test")],
)
def test_split_words_in_names_that_do_not_belong_together_are_classes(classes):
    listing = {f"{name}/1.jpg": (name, None) for name in classes}
    assert short(names(*listing)) == listing


def test_one_class_in_each_split_stays_a_class():
    expected = {"train/cat/1.jpg": ("cat", "train"), "test/cat/2.jpg": ("cat", "test")}
    assert short(names(*expected)) == expected


def test_splits_below_each_class_are_honoured():
    expected = {
        f"{label}/{split}/{n}.jpg": (label, split)
        for label in ("cat", "dog")
        for split in ("train", "test")
        for n in "12"
    }
    assert short(names(*expected)) == expected
    assert short(names(*expected, "README.md"))["cat/test/1.jpg"] == ("cat", "test")
    assert short(names(*expected, "cat/masks/1.jpg"))["cat/masks/1.jpg"] == "it is outside the folders test, train"
    for loose in ("cat/0.jpg", "fish/deep/0.jpg"):
        assert short(names(*expected, loose))["cat/test/1.jpg"] == ("cat", None)


def test_two_manifests_are_refused_and_another_table_is_none():
    with pytest.raises(DataError, match=r"more than one manifest, a\.csv and b\.csv"):
        names("a.csv", "b.csv", "cat/1.jpg", table=b"path,label\ncat/1.jpg,cat\n")
    assert short(names("a.csv", "cat/1.jpg", "dog/1.jpg", table=b"x,y\n"))["cat/1.jpg"] == ("cat", None)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../../etc/passwd", "cat/../../x", "C:/x.jpg", "\\\\host\\x", "a\\..\\x", ""]
)
def test_a_name_that_leads_out_of_the_archive_is_reported(name):
    assert why_not_inside(name)


def test_ordinary_names_are_inside():
    assert not any(map(why_not_inside, ["cat/1.jpg", "a..b/1.jpg", "cat/c:1.jpg", "…/é.png"]))


@given(st.sets(st.lists(PARTS, min_size=1, max_size=4).map("/".join), max_size=8), st.randoms())
def test_an_archive_is_listed_as_its_folder_would_be_whatever_the_order(tmp_path_factory, listing, draws):
    listing = {name for name in listing if not is_clutter(name)}  # a folder of clutter is a folder, if an empty one
    listing = {name for name in listing if not any(other.startswith(name + "/") for other in listing)}
    root = tmp_path_factory.mktemp("tree")
    for name in listing:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    shuffled = sorted(listing)
    draws.shuffle(shuffled)
    assert short(names(*shuffled)) == short(list(FolderSource(root).list_files()))


def test_a_manifest_that_cannot_be_read_is_one_sentence():
    def damaged(name: str) -> bytes:
        raise OSError(0, "its bytes do not match")

    with pytest.raises(DataError, match=r"A table in x\.zip cannot be read: its bytes do not match"):
        list(list_names(["list.csv", "cat/1.jpg"], "x.zip", damaged))
