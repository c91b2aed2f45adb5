import json
from pathlib import Path

import pytest

from tests.data.sources.archives import listed, tar_of
from vitrail.core.errors import DataError, UsageError
from vitrail.data.sources import open_source
from vitrail.data.sources.webdataset import split_of_shard


def sample(key: str, label: object) -> dict[str, bytes]:
    return {f"{key}.jpg": key.encode(), f"{key}.cls": str(label).encode()}


def test_the_label_is_in_cls_or_in_json(tmp_path: Path):
    files = sample("0001", 3) | sample("a.b/1", "cat\n")
    files |= {"0002.png": b"2", "0002.json": json.dumps({"label": "dog", "width": 5}).encode()}
    source = open_source(tar_of(tmp_path / "x.tar", files))
    expected = {("0001.jpg", "3", None), ("a.b/1.jpg", "cat", None), ("0002.png", "dog", None)}
    assert listed(source) == (expected, {})
    assert source.read("0002.png") == b"2"


def test_a_sample_without_label_or_with_two_images_is_set_aside(tmp_path: Path):
    files = sample("1", "cat") | {"2.jpg": b"", "3.jpg": b"", "3.json": b"{", "4.jpg": b"", "4.png": b"", "4.cls": b"x"}
    files |= {"5.jpg": b"", "5.JPG": b"", "5.cls": b"x"}
    files |= {"1.seg.png": b"a mask, which is no image of the sample", "1.txt": b"a caption"}
    entries, aside = listed(open_source(tar_of(tmp_path / "x.tar", files)))
    assert entries == {("1.jpg", "cat", None)}
    assert {name: reason.split("has ")[1] for name, reason in aside.items()} == {
        "2.jpg": "no label in a .cls or .json",
        "3.jpg": "no label in a .cls or .json",
        "4.jpg": "more than one image",
        "4.png": "more than one image",
        "5.JPG": "more than one image",
        "5.jpg": "more than one image",
    }


def test_names_with_more_dots_are_samples_up_to_their_last_dot(tmp_path: Path):
    files = sample("1", "cat") | sample("scan.1", "cat") | sample("scan.2", "dog") | {"scan.3.png": b"3"}
    entries, aside = listed(open_source(tar_of(tmp_path / "x.tar", files)))
    assert entries == {("1.jpg", "cat", None), ("scan.1.jpg", "cat", None), ("scan.2.jpg", "dog", None)}
    assert aside == {"scan.3.png": "its sample has no label in a .cls or .json"}
    only = sample("a.1", "cat") | sample("a.2", "dog")
    assert len(listed(open_source(tar_of(tmp_path / "y.tar", only)))[0]) == 2


def test_an_image_with_a_label_that_falls_to_another_sample_is_set_aside(tmp_path: Path):
    files = sample("scan", "cat") | sample("scan.1", "dog") | {"scan.seg.png": b"a mask"}
    entries, aside = listed(open_source(tar_of(tmp_path / "x.tar", files)))
    assert entries == {("scan.jpg", "cat", None)}
    assert list(aside) == ["scan.1.jpg"]
    assert "second dot" in aside["scan.1.jpg"]


def test_a_list_is_no_label(tmp_path: Path):
    files = sample("1", "cat") | {"2.jpg": b"", "2.json": b'{"label": ["a", "b"]}', "3.jpg": b"", "3.cls": b"\xff"}
    assert set(listed(open_source(tar_of(tmp_path / "x.tar", files)))[1]) == {"2.jpg", "3.jpg"}


def test_a_sample_without_an_image_that_is_known_is_set_aside(tmp_path: Path):
    files = sample("1", "cat") | {"2.heic": b"2", "2.cls": b"dog", "3.cls": b"dog", "4.txt": b"a caption"}
    entries, aside = listed(open_source(tar_of(tmp_path / "x.tar", files)))
    assert entries == {("1.jpg", "cat", None)}
    assert set(aside) == {"2.heic", "3.cls", "4.txt"}
    assert all("its sample has no image" in reason for reason in aside.values())


@pytest.mark.parametrize("names", [("x-000", "x-001", "x-002"), ("train-000", "train-001", "val-000")])
def test_numbered_shards_are_one_data_set_and_their_names_may_say_the_split(tmp_path: Path, names):
    for name in names:
        tar_of(tmp_path / f"{name}.tar", sample("0", "cat") | sample("1", "dog"))
    source = open_source(tmp_path)
    split = {"train-000": "train", "train-001": "train", "val-000": "val"}
    assert listed(source)[0] == {
        (f"{name}/{key}.jpg", label, split.get(name)) for name in names for key, label in (("0", "cat"), ("1", "dog"))
    }
    assert source.read(f"{names[2]}/1.jpg") == b"1"


def test_braces_name_shards(tmp_path: Path):
    for number in range(3):
        tar_of(tmp_path / f"x-{number:03d}.tar", sample(f"{number}", "cat"))
    assert len(listed(open_source(tmp_path / "x-{000..001}.tar"))[0]) == 2
    with pytest.raises(UsageError, match=r"shard .*x-003\.tar.*check the numbers"):
        open_source(tmp_path / "x-{000..004}.tar")


def test_braces_name_shards_of_one_name_in_several_folders(tmp_path: Path):
    for number in range(3):
        (tmp_path / f"part{number}" / "a").mkdir(parents=True)
        tar_of(tmp_path / f"part{number}" / "a" / "images.tar", sample("0", number))
    source = open_source(tmp_path / "part{0..2}" / "a" / "images.tar")
    paths = {(f"part{number}/a/images/0.jpg", f"{number}", None) for number in range(3)}
    assert listed(source) == (paths, {})
    assert {source.read(path) for path, _, _ in paths} == {b"0"}


def test_numbered_folders_of_archives_without_samples_are_no_classes(tmp_path: Path):
    for number in range(2):
        (tmp_path / f"part{number}").mkdir()
        tar_of(tmp_path / f"part{number}" / "images.tar", {"cat/1.jpg": b"x"})
    with pytest.raises(DataError, match="hold no samples with labels"):
        listed(open_source(tmp_path / "part{0..1}" / "images.tar"))


@pytest.mark.parametrize(
    ("name", "split"),
    [("train-000.tar", "train"), ("data/validation-00000-of-00002.parquet", "val"), ("trainer-0.tar", None)],
)
def test_a_split_is_the_first_word_of_a_shards_name(name, split):
    assert split_of_shard(name) == split


def test_a_label_file_that_is_longer_than_any_label_gives_no_label(tmp_path: Path):
    files = sample("1", "cat") | sample("2", "dog" + " " * (1 << 20))
    entries, aside = listed(open_source(tar_of(tmp_path / "x.tar", files)))
    assert entries == {("1.jpg", "cat", None)}
    assert "no label" in aside["2.jpg"]
