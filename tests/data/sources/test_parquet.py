import json
import os
import random
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.sources.archives import listed
from vitrail.core.errors import DataError, UsageError
from vitrail.data.sources import (
    ManifestSource,
    ParquetSource,
    manifest,
    open_source,
    parquet_files,
    parquet_limits,
    table,
)
from vitrail.data.sources.parquet_files import ParquetFiles
from vitrail.data.sources.parquet_manifest import read_cells
from vitrail.data.sources.ranges import FileRanges

SMALL_IMAGES = pa.schema([("image", pa.binary()), ("label", pa.string())])

NAMES = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}, "image": {"_type": "Image"}}}}


def write(path: Path, count: int, *, first: int = 0, labels: list[object] | None = None, **options) -> Path:
    """As Hugging Face's `datasets` writes it: image struct, numbered label, names in the metadata."""
    rows = range(first, first + count)
    images = [{"bytes": row.to_bytes(2, "big") * 50, "path": f"img{row}.jpg"} for row in rows]
    table = pa.table({"image": images, "label": labels or [row % 2 for row in rows]})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(NAMES)}), path, **options)
    return path


def test_labels_have_the_names_of_the_metadata_and_rows_their_bytes(tmp_path: Path):
    source = open_source(write(tmp_path / "pets.parquet", 50, row_group_size=7))
    assert isinstance(source, ParquetSource)
    assert source.name == "pets"
    entries, aside = listed(source)
    expected = {(f"pets.parquet/{row:08d}/img{row}.jpg", ("cat", "dog")[row % 2], None) for row in range(50)}
    assert (entries, aside) == (expected, {})
    order = sorted(path for path, _, _ in entries)
    random.Random(0).shuffle(order)
    for path in order:
        assert source.read(path) == int(path.split("/")[1]).to_bytes(2, "big") * 50


def test_files_of_a_folder_are_one_data_set_and_their_names_say_the_split(tmp_path: Path):
    write(tmp_path / "data" / "train-00000-of-00002.parquet", 5)
    write(tmp_path / "data" / "train-00001-of-00002.parquet", 5, first=5)
    write(tmp_path / "data" / "test-00000-of-00001.parquet", 4, first=10)
    (tmp_path / "README.md").write_text("a card")
    entries, _ = listed(open_source(tmp_path))
    assert sorted(split for _, _, split in entries) == ["test"] * 4 + ["train"] * 10
    assert open_source(tmp_path).read("data/test-00000-of-00001.parquet/00000001/img11.jpg") == b"\0\x0b" * 50


def test_rows_without_label_or_bytes_are_set_aside(tmp_path: Path):
    source = open_source(write(tmp_path / "x.parquet", 4, labels=[0, -1, None, 1]))
    entries, aside = listed(source)
    assert len(entries) == 2
    assert set(aside.values()) == {"its row has no label"}
    pq.write_table(pa.table({"jpg": pa.array([b"1", None], pa.binary()), "label": ["a", "b"]}), tmp_path / "y.parquet")
    with pytest.raises(OSError, match="holds no bytes"):
        open_source(tmp_path / "y.parquet").read("y.parquet/00000001")


def test_reading_in_order_costs_one_pass_and_bounded_memory(tmp_path: Path, monkeypatch):
    passes = []
    from_start = ParquetFiles._from_start
    monkeypatch.setattr(ParquetFiles, "_from_start", lambda self, name: passes.append(name) or from_start(self, name))
    monkeypatch.setattr(parquet_files, "KEPT_BYTES", 1)
    write(tmp_path / "x.parquet", 400)
    files = ParquetFiles(lambda name: FileRanges(tmp_path / name))
    late = {0: 40, 1: 0, 2: 20, 3: 7}  # as threads of which some are rows behind the others
    for row in sorted(range(400), key=lambda row: row + late[row % 4]):
        assert files.read("x.parquet", row) == row.to_bytes(2, "big") * 50
    assert len(passes) == 1
    assert len(files._kept) == parquet_files.KEPT_BATCHES


def test_an_ambiguous_column_must_be_named(tmp_path: Path):
    columns = {"img": [{"bytes": b"1", "path": "1"}], "fine": [1], "coarse": [2]}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"no column that may be the label \(img, fine, coarse\): name exactly one"):
        listed(open_source(tmp_path / "x.parquet"))


def test_a_table_of_paths_is_a_manifest_still(tmp_path: Path):
    pq.write_table(pa.table({"path": ["a.jpg"], "label": ["cat"]}), tmp_path / "x.parquet")
    assert isinstance(open_source(tmp_path / "x.parquet"), ManifestSource)


def test_a_damaged_file_ends_in_an_error_of_ours(tmp_path: Path):
    path = write(tmp_path / "x.parquet", 200)
    whole = path.read_bytes()
    source = open_source(path)
    path.write_bytes(whole[:60] + bytes(len(whole) - 2000) + whole[len(whole) - 1940 :])
    outcomes = set()
    for row in range(0, 200, 20):
        try:
            source.read(f"x.parquet/{row:08d}")
        except OSError:
            outcomes.add("damaged")
    assert outcomes == {"damaged"}


def test_many_threads_read_at_once(tmp_path: Path):
    source = open_source(write(tmp_path / "x.parquet", 400))
    paths = sorted(path for path, _, _ in listed(source)[0])
    wrong = []

    def read(first: int) -> None:
        wrong.extend(p for p in paths[first::4] if source.read(p) != int(p.split("/")[1]).to_bytes(2, "big") * 50)

    threads = [threading.Thread(target=read, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_columns_called_split_and_group_are_honoured(tmp_path: Path):
    columns = {"jpg": [b"1", b"2", b"3"], "label": ["a", "b", "b"]}
    columns |= {"split": ["train", "Test", "other"], "group": ["g", " ", None]}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    found = list(open_source(tmp_path / "x.parquet").list_files())
    assert [(each.split, each.group) for each in found[:2]] == [("train", "g"), ("test", None)]
    assert "no split that is known (other)" in found[2].reason


def test_few_of_many_files_are_left_in_the_middle(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(parquet_files, "KEPT_FILES", 3)
    for number in range(8):
        write(tmp_path / f"x-{number}.parquet", 20, first=20 * number)
    files = ParquetFiles(lambda name: FileRanges(tmp_path / name))
    for row in (0, 19):
        for number in range(8):
            assert files.read(f"x-{number}.parquet", row) == (20 * number + row).to_bytes(2, "big") * 50
            assert len(files._cursors) <= 3


def test_a_label_in_a_file_of_images_is_one_value(tmp_path: Path):
    def of(label: pa.Array, **more: pa.Array) -> tuple[set[tuple[str, str, str | None]], dict[str, str]]:
        images = pa.array([{"bytes": b"1"}, {"bytes": b"2"}])
        pq.write_table(pa.table({"image": images, "label": label, **more}), tmp_path / "x.parquet")
        return listed(open_source(tmp_path / "x.parquet"))

    with pytest.raises(DataError, match=r"The column label .* several values"):
        of(pa.array([[0], [0, 7]]))
    assert {label for _, label, _ in of(pa.array([b"cat", b"dog"]))[0]} == {"cat", "dog"}
    entries, aside = of(pa.array([1.0, float("nan")], from_pandas=False))
    assert [label for _, label, _ in entries] == ["1"]
    assert list(aside.values()) == ["its row has no label"]
    assert {label for _, label, _ in of(pa.array(["New York", "\u200bNew\u00a0York "]))[0]} == {"New York"}
    pq.write_table(pa.table({"image": [b"1", b"2"], "label": [b"cat", b"dog"]}), tmp_path / "y.parquet")
    assert {label for _, label, _ in listed(open_source(tmp_path / "y.parquet"))[0]} == {"cat", "dog"}
    (one, other) = of(pa.array(["a", "b"]), split=pa.array([b"Train", b"test"]))[0]
    assert {one[2], other[2]} == {"train", "test"}


def test_metadata_that_are_nested_too_deeply_name_no_classes(tmp_path: Path):
    deep = pa.table({"image": pa.array([b"1"], pa.binary()), "label": [3]}).replace_schema_metadata(
        {"huggingface": "[" * 200_000}
    )
    pq.write_table(deep, tmp_path / "x.parquet")
    assert listed(open_source(tmp_path / "x.parquet")) == ({("x.parquet/00000000", "3", None)}, {})


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as refused:
        list(open_source(path).list_files())
    return str(refused.value)


def test_a_small_file_that_promises_a_million_rows_is_refused_before_they_are_read(tmp_path: Path):
    rows = 1_000_000
    repeated = pa.table({"path": ["a.png"] * rows, "label": ["cat"] * rows})
    pq.write_table(repeated, tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").stat().st_size < 10_000
    begun = time.process_time()
    assert "promise 1,000,000 rows" in refusal(tmp_path / "x.parquet")
    pq.write_table(repeated.rename_columns(["image", "label"]).cast(SMALL_IMAGES), tmp_path / "y.parquet")
    assert "promise 1,000,000 rows" in refusal(tmp_path / "y.parquet")
    assert time.process_time() - begun < 2


def test_a_table_of_more_rows_than_the_limit_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(parquet_limits, "MOST_ROWS", 9)
    monkeypatch.setattr(table, "MOST_ROWS", 9)
    rows = [f"{row}.png,cat" for row in range(10)]
    (tmp_path / "x.csv").write_text("\n".join(["path,label", *rows]))
    assert "more than 9 rows" in refusal(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_text("\n".join(["path,label", *rows[:9]]))
    assert len(list(open_source(tmp_path / "x.csv").list_files())) == 9
    write(tmp_path / "x.parquet", 10)
    with pytest.raises(DataError, match="10 rows, over the limit of 9"):
        list(ParquetFiles(lambda name: FileRanges(tmp_path / name)).list_file("x.parquet", None))


def test_texts_are_limited_one_by_one_and_together(tmp_path: Path, monkeypatch):
    def store(name: str, label: list[str]) -> Path:
        path = tmp_path / name
        pq.write_table(pa.table({"path": [f"{row}.png" for row in range(len(label))], "label": label}), path)
        return path

    assert "a text of more than 131,072 bytes in its column label" in refusal(store("x.parquet", ["x" * 200_000]))
    many = store("y.parquet", ["x" * 100_000] * 2_000)  # 200 MB of text in a few kilobytes
    assert many.stat().st_size < 200_000
    monkeypatch.setattr(parquet_limits, "MOST_TEXT_BYTES", 10_000_000)
    with pytest.raises(DataError, match="GB of text, over the limit"):
        list(read_cells(FileRanges(many), "y.parquet", ["path"]))


def test_a_manifest_that_is_a_pipe_or_too_large_is_refused(tmp_path: Path, monkeypatch):
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(UsageError, match="not a data set that can be read"):
        open_source(tmp_path / "x.csv")
    monkeypatch.setattr(manifest, "MOST_TABLE_BYTES", 10)
    (tmp_path / "y.csv").write_text("path,label\na.png,cat\n")
    assert "more than 10 bytes" in refusal(tmp_path / "y.csv")
