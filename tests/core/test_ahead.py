import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from vitrail.core.ahead import in_order


def test_outcomes_come_in_order_and_no_item_is_read_far_ahead():
    read = []
    items = (read.append(number) or number for number in itertools.count())
    with ThreadPoolExecutor(3) as pool:
        squares = in_order(pool, lambda number: number**2, items, ahead=4)
        assert list(itertools.islice(squares, 10)) == [number**2 for number in range(10)]
    assert len(read) == 14


def test_a_failure_is_raised_in_its_place():
    with ThreadPoolExecutor(2) as pool:
        inverses = in_order(pool, lambda number: 1 / number, [2, 1, 0], ahead=8)
        assert [next(inverses), next(inverses)] == [0.5, 1]
        with pytest.raises(ZeroDivisionError):
            next(inverses)
