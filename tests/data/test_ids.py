"""Ids in one buffer behave as the tuple of strings that they stand for."""

import pickle
from itertools import chain

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from vitrail.core.hashing import sha256_bytes
from vitrail.data import ids as ids_module
from vitrail.data.ids import Ids

NAMES = sorted(sha256_bytes(bytes((number,))) for number in range(20))
ROWS = st.lists(st.integers(0, len(NAMES) - 1), unique=True).map(sorted)


def some(rows) -> tuple[Ids, tuple[str, ...]]:
    return Ids(pa.array(NAMES), np.array(rows, np.int64)), tuple(NAMES[row] for row in rows)


@given(ROWS, st.integers(0, 20), st.integers(0, 20))
def test_they_are_the_strings_in_order(rows, start, end):
    ids, names = some(rows)
    assert ids == names
    assert names == ids
    assert (*ids,) == names
    assert len(ids) == len(names)
    assert ids[start:end] == names[start:end]
    assert [ids[place] for place in range(-len(names), len(names))] == [*names, *names]
    assert [name in ids for name in NAMES] == [name in names for name in NAMES]
    assert pa.array(ids, pa.string()).to_pylist() == list(names)
    assert hash(ids) == hash(names)
    assert pickle.loads(pickle.dumps(ids)) == names


@given(ROWS, ROWS)
def test_some_are_taken_away(rows, gone):
    ids, names = some(rows)
    away = {NAMES[row] for row in gone} | {"unknown"}
    assert ids.less(away) == tuple(name for name in names if name not in away)
    assert ids.less(()) == names


@given(ROWS)
def test_blocks_hold_each_once(rows):
    ids, names = some(rows)
    before, ids_module.ROWS_AT_ONCE = ids_module.ROWS_AT_ONCE, 3
    try:
        assert list(chain(*ids.blocks())) == list(names)
        assert all(len(block) <= 3 for block in ids.blocks())
    finally:
        ids_module.ROWS_AT_ONCE = before


def test_others_are_not_equal():
    ids, names = some([1, 3])
    assert ids != names[:1]
    assert ids != (names[0], NAMES[5])
    assert ids != list(names)
    assert 3 not in ids
