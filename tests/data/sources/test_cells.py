import datetime

import pyarrow as pa
import pytest

from vitrail.core.errors import DataError
from vitrail.data.sources.cells import cell_texts, is_category


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array(["a", None, ""]), ["a", "", ""]),
        (pa.array([b"a", "é".encode()]), ["a", "é"]),
        (pa.array([b"a", b"b", b"a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([1, None, 30]), ["1", "", "30"]),
        (pa.array([1.0, float("nan"), None, 2.5], from_pandas=False), ["1", "", "", "2.5"]),
        (pa.chunked_array([[1.0], [float("nan")]]), ["1", ""]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([datetime.date(2024, 2, 1)]), ["2024-02-01"]),
        (pa.nulls(2), ["", ""]),
    ],
)
def test_cells_of_one_value_are_texts(column, texts):
    assert cell_texts(column, "label", "x.parquet") == texts


@pytest.mark.parametrize(
    "column",
    [pa.array([[1], [1, 2]]), pa.array([{"a": 1}]), pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))],
)
def test_cells_of_several_values_are_refused(column):
    with pytest.raises(DataError, match=r"The column label of x\.parquet has the type .* write one value a row"):
        cell_texts(column, "label", "x.parquet")


def test_a_value_that_is_no_text_stands_alone():
    assert cell_texts(pa.array([b"cat", b"\xff", None]), "label", "x.parquet") == ["cat", None, ""]
    days = pa.array([0, 2**31 - 1], pa.int32()).cast(pa.date32())
    assert cell_texts(days, "day", "x.parquet")[0] == "1970-01-01"


def test_texts_whole_numbers_truth_values_and_days_are_categories():
    kinds = [pa.string(), pa.int8(), pa.bool_(), pa.date32(), pa.dictionary(pa.int8(), pa.string())]
    assert all(map(is_category, kinds))
    assert not any(map(is_category, [pa.float32(), pa.list_(pa.string()), pa.binary(), pa.timestamp("s")]))
