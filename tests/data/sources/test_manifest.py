from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.sources.manifest import ManifestSource


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg", "deep/c d é.jpg", "comma, too.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def manifest(folder: Path, text: str | bytes, name: str = "list.csv") -> ManifestSource:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return ManifestSource(folder / name)


def listed(source: ManifestSource) -> list[tuple[str, ...]]:
    return [
        (each.path, each.label, each.split or "", each.group or "")
        for each in source.list_files()
        if isinstance(each, ListedFile)
    ]


def refusal(source: ManifestSource) -> str:
    with pytest.raises(DataError) as error:
        list(source.list_files())
    return str(error.value)


def test_rows_become_entries_relative_to_the_manifest(folder):
    source = manifest(
        folder,
        'path,label,split,group\na.jpg,cat,train,g1\n"comma, too.jpg",dog,Validation,\n./deep/c d é.jpg,dog,test,g2\n',
    )
    assert listed(source) == [
        ("a.jpg", "cat", "train", "g1"),
        ("comma, too.jpg", "dog", "val", ""),
        ("deep/c d é.jpg", "dog", "test", "g2"),
    ]
    assert source.read("deep/c d é.jpg") == "deep/c d é.jpg".encode()
    assert source.name == "list"


@pytest.mark.parametrize(
    "text",
    [
        "path;label\na.jpg;cat\nb.jpg;dog\n",
        "\ufeffpath,label\r\na.jpg,cat\r\nb.jpg,dog\r\n",
        "\ufeffPath;Label;comment\r\na.jpg;cat;x, y\r\n;;\r\n\r\nb.jpg;dog;\r\n",
        "label\tpath\ncat\ta.jpg\ndog\tb.jpg",
        'path , label\n"a.jpg", cat \nb.jpg,dog',
    ],
)
def test_spreadsheets_of_all_countries_are_read(folder, text):
    assert listed(manifest(folder, text)) == [("a.jpg", "cat", "", ""), ("b.jpg", "dog", "", "")]


def test_a_row_whose_file_is_missing_is_set_aside_with_its_number(folder):
    source = manifest(folder, "path,label\na.jpg,cat\n\nnowhere.jpg,dog\ndeep,dog\n")
    aside = [each for each in source.list_files() if isinstance(each, SetAside)]
    assert [each.path for each in aside] == ["nowhere.jpg", "deep"]
    words = f"row 4 of list.csv names it, but there is no such file: paths are relative to {folder}"
    assert aside[0].reason == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no column path and no column label", "found: none"]),
        ("file,class\na.jpg,cat\n", ["no column path and no column label", "found: file, class"]),
        ("path,class\na.jpg,cat\n", ["no column label", "found: path, class"]),
        ("path,label,path\na.jpg,cat,b.jpg\n", ["column path twice"]),
        ("path,label\n", ["no rows"]),
        ("path,label\na.jpg,cat\nb.jpg,\n", ["Row 3", "no label", "fill it in"]),
        ("path,label\n,cat\n", ["Row 2", "no path"]),
        ("path,label\na.jpg,cat,extra\n", ["Row 2", "3 cells, but the header has 2"]),
        ("path,label,split\na.jpg,cat,trian\nb.jpg,cat,train\n", ["Row 2 (trian)", "unknown split", "validation"]),
        (
            "path,label,split\na.jpg,cat,train\nb.jpg,cat,\n",
            ["Row 3", "no split while others have one", "remove it"],
        ),
        ('path,label\n"a.jpg,cat\n', ["not a valid CSV", "quotation marks"]),
        ("path,label\na.jpg,été\n".encode("latin-1"), ["not UTF-8 in line 2", "save it as CSV UTF-8"]),
        ("path,label\n".encode("utf-16"), ["not UTF-8 in line 1"]),
    ],
)
def test_invalid_rows_are_refused_with_their_place_and_a_remedy(folder, text, words):
    message = refusal(manifest(folder, text))
    assert all(word in message for word in words), message
    assert "list.csv" in message
    assert message.count("\n") == 0


def test_of_many_bad_rows_five_are_named(folder):
    message = refusal(manifest(folder, "path,label\n" + "a.jpg,\n" * 9))
    assert "Rows 2, 3, 4, 5, 6 and 4 more" in message


def test_parquet_says_the_same(folder):
    table = pa.table(
        {
            "path": ["a.jpg", "b.jpg", "gone.jpg"],
            "label": pa.array([3, 10, 3]),
            "split": pa.array(["train", "test", "train"]).dictionary_encode(),
            "width": [1.0, 2.0, None],
        }
    )
    pq.write_table(table, folder / "list.parquet")
    source = ManifestSource(folder / "list.parquet")
    assert listed(source) == [("a.jpg", "3", "train", ""), ("b.jpg", "10", "test", "")]
    assert [each.reason for each in source.list_files() if isinstance(each, SetAside)] == [
        f"row 3 of list.parquet names it, but there is no such file: paths are relative to {folder}"
    ]


def test_parquet_with_gaps_or_damage_is_refused(folder):
    pq.write_table(pa.table({"path": ["a.jpg", "b.jpg"], "label": ["cat", None]}), folder / "list.parquet")
    assert "Row 2" in refusal(ManifestSource(folder / "list.parquet"))
    assert "cannot be read as Parquet" in refusal(manifest(folder, "path,label", "list.parquet"))


def test_a_label_is_one_value(folder):
    """A list is refused, a number that is none is missing, and bytes are text."""

    def of(label: pa.Array) -> ManifestSource:
        pq.write_table(pa.table({"path": ["a.jpg", "b.jpg"], "label": label}), folder / "list.parquet")
        return ManifestSource(folder / "list.parquet")

    message = refusal(of(pa.array([[0], [0, 7]])))
    assert "The column label" in message
    assert "several values" in message
    assert "write one value a row" in message
    assert "Row 2" in refusal(of(pa.array([0.0, float("nan")], from_pandas=False)))
    assert [row[1] for row in listed(of(pa.array([1.0, 2.5])))] == ["1", "2.5"]
    assert [row[1] for row in listed(of(pa.array([b"cat", "\u00e9t\u00e9".encode()])))] == ["cat", "\u00e9t\u00e9"]
    assert [row[1] for row in listed(of(pa.array([b"cat", b"dog"]).dictionary_encode()))] == ["cat", "dog"]
    assert list(of(pa.array([b"cat", b"\xff\xfe"])).list_files())[1] == SetAside(
        path="list.parquet, row 2", reason="its label cannot be read as text"
    )


def test_texts_that_read_the_same_are_one(folder):
    text = "path,label,split,group,site\na.jpg,New York, train,p\u200b1,A B\n"
    text += "b.jpg,\ufeffNew\u00a0York,train,p1 ,A\u2009B\n"
    source = manifest(folder, text)
    assert listed(source) == [("a.jpg", "New York", "train", "p1"), ("b.jpg", "New York", "train", "p1")]
    sites = [each.further["site"] for each in source.list_files() if isinstance(each, ListedFile)]
    assert sites == ["A B", "A B"]
    assert "Row 2 of" in refusal(manifest(folder, "path,label\na.jpg,\u200b\n"))


def test_a_file_is_found_under_a_name_that_reads_the_same(folder):
    for name in ("deep/e\u0301te\u0301.jpg", "blank .jpg", " lead.jpg", "end.jpg "):
        (folder / name).write_bytes(name.encode())
    text = "path,label\ndeep/\u00e9t\u00e9.jpg,cat\nblank\u00a0.jpg,cat\n lead.jpg,cat\nend.jpg ,dog\n a.jpg ,dog\n"
    paths = ["deep/e\u0301te\u0301.jpg", "blank .jpg", " lead.jpg", "end.jpg ", "a.jpg"]
    assert [row[0] for row in listed(manifest(folder, text))] == paths


def test_of_two_names_that_read_the_same_none_is_guessed(folder):
    for name in ("x\u200by.jpg", "x\u200b\u200by.jpg"):
        (folder / name).write_bytes(b"")
    assert listed(manifest(folder, "path,label\nxy.jpg,cat\nx\u200by.jpg,dog\n")) == [("x\u200by.jpg", "dog", "", "")]


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "../" * 3000 + "x"])
def test_a_path_that_no_file_can_have_is_set_aside(folder, path):
    pq.write_table(pa.table({"path": [path, "a.jpg"], "label": ["cat", "dog"]}), folder / "list.parquet")
    source = ManifestSource(folder / "list.parquet")
    assert [type(each) for each in source.list_files()] == [SetAside, ListedFile]


def test_absolute_paths_and_windows_separators_are_made_relative(folder):
    source = manifest(folder, f"path,label\n{folder / 'a.jpg'},cat\ndeep\\c d é.jpg,dog\n")
    assert [row[0] for row in listed(source)] == ["a.jpg", "deep/c d é.jpg"]


def test_a_manifest_may_name_files_beside_its_folder(folder):
    (folder / "lists").mkdir()
    source = manifest(folder / "lists", "path,label\n../a.jpg,cat\n")
    assert listed(source) == [("../a.jpg", "cat", "", "")]
    assert source.read("../a.jpg") == b"a.jpg"


@pytest.mark.shared
def test_the_dogs_are_listed_with_their_official_split(shared):
    rows = listed(ManifestSource(shared / "data" / "stanford_dogs_224.csv"))
    assert [sum(row[2] == split for row in rows) for split in ("train", "test")] == [2_760, 2_040]
