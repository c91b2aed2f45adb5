import numpy as np
import pyarrow as pa
import pytest

from vitrail.data import EXAMPLE_SCHEMA
from vitrail.features.by_id import Missing, Paths

TABLE = pa.table(
    {
        "id": ["a", "b", "c"],
        "paths": [["z/1"], ["a/9", "b"], ["m/5"]],
        "label": [0, 1, 0],
        "group": [None] * 3,
        "given_split": [None] * 3,
        "jpeg_side": [None] * 3,
    },
    schema=EXAMPLE_SCHEMA,
)


def test_paths_are_found_by_id():
    paths = Paths(TABLE)
    assert dict(paths) == {"a": ["z/1"], "b": ["a/9", "b"], "c": ["m/5"]}
    for absent in ("", "aa", "d"):
        with pytest.raises(KeyError):
            paths[absent]


def test_missing_rows_come_in_the_order_of_the_first_paths():
    lacks = [np.array([True, False, True]), np.array([True, True, False])]
    missing = Missing(Paths(TABLE), dict(zip(["vit", "resnet"], lacks, strict=True)))
    assert list(missing.items()) == [("b", ["resnet"]), ("c", ["vit"]), ("a", ["vit", "resnet"])]
    assert not Missing(Paths(TABLE), {"vit": np.zeros(3, np.bool_)})
