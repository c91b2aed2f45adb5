import hashlib

import numpy as np
import pyarrow as pa
import pytest

from vitrail.core.errors import UsageError
from vitrail.features.part import Part, parse_part

IDS = pa.array([hashlib.sha256(bytes([number])).hexdigest() for number in range(200)])


@pytest.mark.parametrize("of", [1, 2, 7])
def test_parts_are_all_examples_each_once_and_about_equal(of):
    masks = [Part(number, of).of_ids(IDS) for number in range(1, of + 1)]
    np.testing.assert_array_equal(np.sum(masks, axis=0), 1)
    assert min(mask.sum() for mask in masks) > 0.5 * len(IDS) / of


def test_an_example_keeps_its_part_when_others_come_or_go():
    np.testing.assert_array_equal(Part(2, 3).of_ids(IDS)[50:90], Part(2, 3).of_ids(IDS[50:90]))


@pytest.mark.parametrize("text", ["0/4", "5/4", "2", "a/b", "-1/4", "1/0", ""])
def test_an_invalid_part_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"part"):
        parse_part(text)


def test_a_part_is_written_as_a_fraction():
    assert parse_part("2/4") == Part(2, 4)
