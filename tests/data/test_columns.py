"""Further columns: read from manifests and Parquet files, joined to examples, and chosen by the rule."""

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.pictures import MemorySource, dataset_of, image_file
from vitrail.core.errors import UsageError
from vitrail.core.hashing import fingerprint
from vitrail.data import Dataset, keep_columns, load
from vitrail.data.dataset import COLUMN_PREFIX, ListedFile
from vitrail.data.sources.table import read_rows


def with_columns(columns: dict[str, Sequence[str | None]], labels: Sequence[int] = (0, 0, 1, 1)) -> Dataset:
    dataset = dataset_of([(f"{row:02d}", label, None, None) for row, label in enumerate(labels)], max(labels) + 1)
    table = dataset.table
    for name, values in columns.items():
        table = table.append_column(COLUMN_PREFIX + name, pa.array(values, pa.string()))
    return Dataset(
        name=dataset.name,
        table=table,
        classes=dataset.classes,
        set_aside=(),
        warnings=(),
        fingerprint="",
        source=dataset.source,
    )


def test_a_manifest_gives_its_further_columns_but_notes_and_unclear_names():
    text = b"path,Label,Camera,note,site,Site,,group\na.png,cat, B ,look,x,y,z,g\nb.png,dog,,look,x,y,z,g\n"
    first, second = read_rows(text, "a.csv")
    assert (first.further, second.further) == ({"Camera": "B"}, {"Camera": ""})
    assert (first.group, first.label) == ("g", "cat")


def test_a_parquet_manifest_gives_texts_and_whole_numbers():
    file = io.BytesIO()
    columns = {
        "path": ["a", "b"],
        "label": ["x", "y"],
        "year": [2024, None],
        "size": [0.5, 0.25],
        "site": pa.array(["p", "q"]).dictionary_encode(),
        "box": [[1], [2]],
    }
    pq.write_table(pa.table(columns), file)
    rows = read_rows(file.getvalue(), "a.parquet")
    assert [row.further for row in rows] == [{"year": "2024", "site": "p"}, {"year": "", "site": "q"}]


def test_each_example_has_its_value_and_copies_that_disagree_have_none():
    files = {
        "a.png": image_file(1),
        "b.png": image_file(2),
        "c.png": image_file(2),
        "d.png": image_file(3),
        "e.png": image_file(3),
        "f.png": image_file(4),
    }
    cameras = {"a.png": "A", "b.png": "A", "c.png": "B", "d.png": "", "e.png": "B"}
    further = {path: {"camera": camera} for path, camera in cameras.items()}
    listing = [ListedFile(path=path, label="x", further=further.get(path, {})) for path in files]
    dataset = load(MemorySource(listing, files))
    camera = {paths[0]: value for paths, value in zip(
        dataset.table["paths"].to_pylist(), dataset.further("camera", dataset.table["id"].to_pylist()), strict=True
    )}  # fmt: skip
    assert camera == {"a.png": "A", "b.png": None, "d.png": "B", "f.png": None}


def test_columns_of_2_to_20_values_are_chosen_unless_they_rename_the_classes():
    labels = [0, 1] * 15
    dataset = with_columns(
        {
            "camera": ["A", "B", "C"] * 10,
            "site": ["X"] * 30,
            "file": [str(number) for number in range(30)],
            "breed": ["x", "y"] * 15,
        },
        labels,
    )
    kept = keep_columns(dataset, (), None)
    assert kept.slices == ("camera",)
    assert COLUMN_PREFIX + "file" not in kept.table.column_names
    assert keep_columns(dataset, (), "file").slices == ("camera",)
    assert COLUMN_PREFIX + "file" in keep_columns(dataset, (), "file").table.column_names
    assert keep_columns(dataset, ("breed", "site", "breed"), None).slices == ("breed", "site")


def test_the_fingerprint_covers_the_columns_that_are_used_and_no_others():
    plain = with_columns({})
    first = with_columns({"camera": ["A", "B", "A", "B"]})
    other = with_columns({"camera": ["A", "B", "B", "A"]})
    unused = with_columns({"camera": ["A", "A", "A", "A"]})
    prints = [keep_columns(dataset, (), None).fingerprint for dataset in (plain, first, other, unused)]
    assert prints[0] == prints[3]
    assert len(set(prints)) == 3
    kept = keep_columns(first, (), None)
    columns = {name: kept.table[name].to_pylist() for name in ("id", "label", "group", "given_split", "column:camera")}
    assert kept.fingerprint == fingerprint(columns | {"classes": list(kept.classes)})


@pytest.mark.parametrize(
    ("slices", "leave_out", "said"),
    [
        (("lens",), None, r"no column 'lens' \(it has camera, site\)"),
        ((), "lens", "no column 'lens'"),
        ((), "site", "has one value, X: --leave-out needs at least two"),
    ],
)
def test_a_column_that_cannot_be_used_is_an_error(slices: tuple[str, ...], leave_out: str | None, said: str):
    dataset = with_columns({"camera": ["A", "B", "A", "B"], "site": ["X", "X", "X", None]})
    with pytest.raises(UsageError, match=said):
        keep_columns(dataset, slices, leave_out)


def test_data_without_further_columns_say_so():
    with pytest.raises(UsageError, match="its only columns are path, label, split and group"):
        keep_columns(with_columns({}), ("camera",), None)
