"""Inputs whose kind was reported publicly, each written by a program beside the repository, are read as they should be.

The programs need no network; each prints what is right (RIGHT), and EXPECTED has what of it a machine can check.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from vitrail.core.errors import VitrailError
from vitrail.data import load, make_split, open_source

pytestmark = pytest.mark.shared


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What becomes of an input, at `path` below the folder that it is written to.

    `says` are words of the warnings, all but that of small classes, or of the error if there are no `classes`.
    """

    path: str
    classes: tuple[str, ...] = ()
    images: int = 0
    how: str = "Train, val and test 60/20/20"
    says: tuple[str, ...] = ()
    aside: int = 0


CATS = ("cat", "dog")
GIVEN = "Test as given"
EXPECTED = {
    "manifest_in_folder": Expected(path="data", classes=CATS, images=48, how=GIVEN),
    "split_folder_names": Expected(path="data", classes=CATS, images=60, how=GIVEN),
    "class_then_split": Expected(path="data", classes=CATS, images=40, how=GIVEN),
    "wrapper": Expected(path="data", classes=CATS, images=24),
    "nas_recycle": Expected(path="data", classes=CATS, images=24),
    "own_runs_folder": Expected(path="data", classes=CATS, images=24),
    "label_invisible": Expected(path="data/m.csv", classes=CATS, images=48),
    "label_nbsp": Expected(path="data/m.csv", classes=("New York", "Rome"), images=48),
    "label_case": Expected(
        path="data", classes=("Cat", "Dog", "cat", "dog"), images=72, how=GIVEN, says=("Cat and cat, Dog and dog",)
    ),
    "nfd_paths": Expected(path="data/m.csv", classes=("chién", "äffchen"), images=28),
    "cwd_paths": Expected(path="data/m.csv", says=("no such file", "paths are relative to")),
    "label_nan_text": Expected(path="data/m.parquet", says=("Rows 3, 6, 9, 12, 15 and 15 more", "no label")),
    "parquet_list_label": Expected(path="data.parquet", says=("The column label", "several values")),
    "parquet_bytes_label": Expected(path="data.parquet", classes=CATS, images=40),
    "ignored_split_column": Expected(
        path="data/m.csv", classes=("a", "b"), images=40, says=("The column subset", "The column patient_id")
    ),
    "wds_dots_some": Expected(path="train-000.tar", classes=("0", "1"), images=40),
    "groups_one_per_class": Expected(path="data/m.csv", says=("No images are left for test", "has 12 of 24 images")),
    "zip_gbk": Expected(path="data.zip", classes=("├¿", "╣╖"), images=24, says=("does not say how its names",)),
    "excel_csv": Expected(path="data/m.csv", classes=("a", "b"), images=24),
    "flat_splits": Expected(path="data", says=("not in a class folder",)),
    "hidden_folders": Expected(path="data", classes=CATS, images=24),
    "label_missing": Expected(path="data/m.csv", says=("Rows 7, 19", "no label")),
    "leading_zeros": Expected(path="data/m.csv", classes=("01", "1", "10"), images=36, says=("01 and 1",)),
    "na_class": Expected(path="data/m.csv", classes=("NA", "True", "null"), images=36, says=("called null",)),
    "nfd_classes": Expected(path="data", classes=("Zürich", "café"), images=72, how=GIVEN),
    "other_columns": Expected(path="data/m.csv", says=("found: image, class",)),
    "groups_few": Expected(path="data/m.csv", classes=("a", "b"), images=60, says=("the largest group, p1",)),
    "hf_minus_one": Expected(path=".", classes=CATS, images=30, aside=30),
    "label_spaces": Expected(path="data/m.csv", classes=CATS, images=24),
    "macosx_zip": Expected(path="data.zip", classes=CATS, images=24),
    "numeric_classes": Expected(path="data", classes=tuple(sorted(map(str, range(1, 13)))), images=96),
    "one_image_class": Expected(path="data", says=("horse (1)",)),
    "test_only_class": Expected(path="data", says=("No training images are left of unknown",)),
    "truncated": Expected(path="data", classes=CATS, images=27, aside=5),  # one more when it is decoded
    "two_labels": Expected(path="data", classes=CATS, images=23, says=("2 files are set aside",), aside=2),
    "val_other_class": Expected(
        path="data",
        classes=("a", "b", "c"),
        images=84,
        how="Train, val and test as given",
        says=("No test images of a",),
    ),
    "windows_paths": Expected(path="data/m.csv", classes=("a", "b"), images=24),
    "symlinks": Expected(path="data", classes=CATS, images=24, aside=2),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_input_from_the_field_is_read_as_it_is_meant(shared: Path, tmp_path: Path, name: str):
    expected = EXPECTED[name]
    _write(shared, name, tmp_path)
    try:
        dataset, split, _ = make_split(load(open_source(tmp_path / expected.path)))
    except VitrailError as error:
        classes: tuple[str, ...] = ()
        said = str(error)
    else:
        classes = dataset.classes
        assert dataset.table.num_rows == expected.images
        assert split.how.startswith(expected.how)
        assert len(dataset.set_aside) == expected.aside
        said = " ".join(warning for warning in dataset.warnings if "Fewer than 20 images" not in warning)
        assert bool(said) == bool(expected.says)
    assert classes == expected.classes, said
    assert all(words in said for words in expected.says), said


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("fix_roundtrip", 0, "cat (12), dog (13)"),
        ("same_background", 1, "--no-near-duplicates divides them all the same"),
        ("own_runs_folder", 0, ""),
        ("closed_stdout", 0, ""),
    ],
)
@pytest.mark.slow
def test_a_command_on_an_input_from_the_field_ends_as_it_should(
    shared: Path, tmp_path: Path, name: str, code: int, words: str
):
    printed = _write(shared, name, tmp_path)
    command = next(line for line in printed.splitlines() if line.startswith("COMMAND: ")).removeprefix("COMMAND: ")
    script = f'vitrail() {{ "{sys.executable}" -m vitrail "$@"; }}; {command}'
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == code, ended.stderr
    assert words in ended.stdout + ended.stderr
    assert "fault of Vitrail" not in ended.stderr


def _write(shared: Path, name: str, folder: Path) -> str:
    """Write the input of this name and return what its program prints."""
    programs = list((shared / "cases").rglob(f"{name}.py"))
    if not programs:
        pytest.skip("needs ../shared/cases")
    ended = subprocess.run([sys.executable, programs[0], folder], capture_output=True, text=True, check=True)
    return ended.stdout
