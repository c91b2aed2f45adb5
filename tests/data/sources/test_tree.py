import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.sources.folder import FolderSource
from vitrail.data.sources.tree import is_clutter, list_names, why_not_inside

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
    assert set(short(names("cat/1.jpg", "__MACOSX/cat/._1.jpg", "cat/.DS_Store", "dog/Thumbs.db"))) == {"cat/1.jpg"}


def test_a_manifest_on_top_says_it_all():
    table = b"path,label,split\nimages/1.jpg,cat,train\nimages/2.jpg,dog,test\nimages/3.jpg,dog,test\n"
    found = short(names("pets/list.csv", "pets/images/1.jpg", "pets/images/2.jpg", "pets/images/9.jpg", table=table))
    assert found["pets/images/1.jpg"] == ("cat", "train")
    assert found["pets/images/2.jpg"] == ("dog", "test")
    assert "row 4 of pets/list.csv names it" in found["pets/images/3.jpg"]
    assert found["pets/images/9.jpg"] == "pets/list.csv does not name it"


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
    """But for the wrapper, which a folder has not: an anchor in a class of its own keeps it from being one."""
    listing = {name for name in listing if not is_clutter(name)} | {"zebra/0"}  # a folder of clutter is a folder
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
