import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.pictures import draw_folder
from vitrail.core.errors import DataError, UsageError
from vitrail.core.resources import Resources
from vitrail.data import ImageRejected, SetAside
from vitrail.delivery.new_images import InSource, NewImage, list_new_images, read_list


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return draw_folder(Path("images"), per_class=2)


def listed(given: str | Path) -> list[NewImage]:
    return list(list_new_images(given, Resources(offline=True)))


def read(image: NewImage) -> bytes:
    assert isinstance(image.content, InSource)
    return image.content.read()


def test_a_folder_of_classes_gives_every_file_and_its_label(folder: Path):
    shutil.copy(folder / "red" / "000-0.png", folder / "loose.png")
    images = listed(str(folder))
    assert [(image.name, image.label) for image in images[:3]] == [
        ("images/loose.png", None),
        ("images/blue/000-0.png", "blue"),
        ("images/blue/001-0.png", "blue"),
    ]
    assert len(images) == 7
    assert read(images[0]) == (folder / "loose.png").read_bytes()
    assert read(images[1]) == (folder / "blue" / "000-0.png").read_bytes()


def test_a_flat_archive_without_labels_is_predicted_too(folder: Path):
    shutil.make_archive("flat", "zip", folder / "red")
    images = listed("flat.zip")
    assert [(image.name, image.label) for image in images] == [
        ("flat.zip/000-0.png", None),
        ("flat.zip/001-0.png", None),
    ]
    assert read(images[0]) == (folder / "red" / "000-0.png").read_bytes()


def test_a_member_that_no_archive_gives_keeps_its_reason(folder: Path):
    shutil.make_archive("some", "zip", folder)
    with zipfile.ZipFile("some.zip", "a") as archive:
        archive.writestr("../out.png", b"no")
    (aside,) = [image for image in listed("some.zip") if "out" in image.name]
    with pytest.raises(ImageRejected) as rejected:
        read(aside)
    assert rejected.value.reason == "its path goes up with .., which would write outside the archive"


@pytest.mark.parametrize(
    ("table", "labels"),
    [
        ("path\nimages/red/000-0.png\nimages/red/001-0.png\n", [None, None]),
        ("path,label\nimages/red/000-0.png,\nimages/red/001-0.png, red \n", [None, "red"]),
        ("label;path;split\nred;images/red/000-0.png;holdback\nred;images/red/001-0.png;train\n", ["red", "red"]),
    ],
)
def test_a_manifest_needs_no_labels_and_its_paths_stay_as_they_are(folder: Path, table: str, labels: list[str | None]):
    Path("new.csv").write_text(table)
    images = listed(Path("new.csv"))
    assert [image.name for image in images] == ["images/red/000-0.png", "images/red/001-0.png"]
    assert [image.label for image in images] == labels
    assert read(images[1]) == (folder / "red" / "001-0.png").read_bytes()


def test_a_manifest_gives_groups_and_a_row_for_a_missing_file(folder: Path):
    Path("new.csv").write_text("path,label,group\nimages/red/000-0.png,red,film 1\ngone.png,red,film 1\n")
    first, gone = listed("new.csv")
    assert (first.group, gone.name) == ("film 1", "gone.png")
    with pytest.raises(ImageRejected, match=r"row 3 of new\.csv names it, but there is no such file"):
        read(gone)


def test_a_table_without_paths_is_refused_with_what_it_needs(folder: Path):
    Path("new.csv").write_text("file\nimages/red/000-0.png\n")
    with pytest.raises(DataError, match=r"no column path .*must name path, and may name label and split and group"):
        listed("new.csv")


def test_a_pattern_gives_its_files_sorted_or_a_row_that_says_that_there_are_none(folder: Path):
    assert [image.name for image in listed("images/*/001*.png")] == [
        "images/blue/001-0.png",
        "images/green/001-0.png",
        "images/red/001-0.png",
    ]
    assert len(listed("images/**/*.png")) == len(listed("images/**")) == 6
    assert listed("images/*.tif") == [
        NewImage("images/*.tif", SetAside(path="images/*.tif", reason="no file matches this pattern"))
    ]
    assert [image.content for image in listed(Path("images/*.tif"))] == [Path("images/*.tif")]


def test_a_file_whose_name_is_a_pattern_is_that_file(folder: Path):
    (folder / "red" / "000-0.png").rename("[a]*.png") if os.name != "nt" else pytest.skip("no such names")
    assert [image.content for image in listed("[a]*.png")] == [Path("[a]*.png")]


def test_what_is_not_there_is_an_image_that_cannot_be_read(folder: Path):
    assert listed("images/none.png") == [NewImage("images/none.png", Path("images/none.png"))]


def test_a_name_of_a_data_set_is_one_but_never_as_a_path(folder: Path):
    with pytest.raises(UsageError, match="similar names are"):
        listed("stanford-dog")
    assert listed(Path("stanford-dogs")) == [NewImage("stanford-dogs", Path("stanford-dogs"))]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"", []),
        (b"a.png\nb c.png\n", ["a.png", "b c.png"]),
        (b"a.png\r\n\r\nb.png", ["a.png", "b.png"]),
        (b"\xef\xbb\xbfa.png\n", ["a.png"]),
        (b"one\nname.png\0b.png\0", ["one\nname.png", "b.png"]),
        (b"a.png\0b.png", ["a.png", "b.png"]),
        (b" a.png \n", [" a.png "]),
    ],
)
def test_a_list_has_a_path_a_line_or_zeros_between_them(content: bytes, names: list[str]):
    assert list(read_list(io.BytesIO(content))) == [Path(name) for name in names]


def test_a_list_longer_than_a_block_is_separated_by_its_only_zeros():
    names = [f"{number:07}\n.png" for number in range(200_000)]
    assert list(read_list(io.BytesIO("\0".join(names).encode()))) == list(map(Path, names))


@pytest.mark.skipif(os.name == "nt", reason="Windows names are text")
def test_a_path_that_is_not_utf8_is_the_same_file():
    (path,) = read_list(io.BytesIO(b"caf\xe9.png\n"))
    assert os.fsencode(path) == b"caf\xe9.png"


def test_what_lists_counts_and_writes_predictions_imports_no_torch():
    names = ("new_images", "prediction", "prediction_files", "prediction_summary")
    imports = "".join(f"import vitrail.delivery.{name}\n" for name in names)
    code = f"import sys\n{imports}assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
