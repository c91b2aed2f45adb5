from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitrail.core.errors import RunError
from vitrail.heads.head import Predictions
from vitrail.runs.tables import (
    read_predictions,
    read_resplits,
    read_subsets,
    write_predictions,
    write_resplits,
    write_subsets,
)
from vitrail.search import Resplit, SubsetScores


def test_predictions_come_back_to_the_last_bit(tmp_path: Path):
    probability_NC = np.random.default_rng(0).dirichlet(np.ones(3), 4)
    wanted = Predictions(
        name="a", ids=("1", "2", "3", "4"), label_N=np.array([0, 1, 2, 0]), probability_NC=probability_NC
    )
    write_predictions(tmp_path / "a.parquet", wanted, ["id", "label", "é"])
    found = read_predictions(tmp_path / "a.parquet")
    assert (found.name, found.ids) == ("a", wanted.ids)
    np.testing.assert_array_equal(found.probability_NC, probability_NC)
    np.testing.assert_array_equal(found.label_N, wanted.label_N)


def test_other_splits_come_back_as_they_were(tmp_path: Path):
    wanted = [
        Resplit(number=k, ids=ids, label_M=np.arange(len(ids)), predicted_M=np.arange(len(ids))[::-1].copy())
        for k, ids in enumerate((("b", "a"), ("c", "a", "b")))
    ]
    write_resplits(tmp_path / "a.parquet", wanted)
    for one, other in zip(wanted, read_resplits(tmp_path / "a.parquet"), strict=True):
        assert (one.number, one.ids, one.accuracy) == (other.number, other.ids, other.accuracy)
        np.testing.assert_array_equal(one.predicted_M, other.predicted_M)


def test_a_split_without_a_number_is_one_sentence(tmp_path: Path):
    path = tmp_path / "a.parquet"
    write_resplits(path, [Resplit(number=0, ids=("a",), label_M=np.array([0]), predicted_M=np.array([0]))])
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "split", pa.array([None], pa.int32())), path)
    with pytest.raises(RunError, match="cannot be read as a table of splits"):
        read_resplits(path)


def test_answers_on_parts_come_back_as_they_were(tmp_path: Path):
    wanted = SubsetScores(
        ids=("a", "b"),
        label_N=np.array([0, 1]),
        group_N=np.array([0, 0]),
        fold_N=np.array([1, 0]),
        hardest=(1,),
        predicted={"all": np.array([0, 0]), "half": np.array([1, 1])},
    )
    write_subsets(tmp_path / "a.parquet", wanted)
    again = read_subsets(tmp_path / "a.parquet")
    assert (again.ids, again.hardest, list(again.predicted)) == (wanted.ids, wanted.hardest, list(wanted.predicted))
    for name in ("label_N", "group_N", "fold_N"):
        np.testing.assert_array_equal(getattr(again, name), getattr(wanted, name))
    np.testing.assert_array_equal(again.right("half"), [False, True])


def test_a_file_that_is_no_table_is_one_sentence(tmp_path: Path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunError, match=r"a\.parquet"):
        read_predictions(tmp_path / "a.parquet")
