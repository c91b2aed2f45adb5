import pytest

from vitrail.statistics.intervals import wilson
from vitrail.statistics.unpaired import unpaired_difference


def test_it_is_newcombes_method_10():
    """Newcombe 1998, table II: 56/70 against 48/80 has [0.0524, 0.3339]; 9/10 against 3/10 has [0.1705, 0.8090]."""
    for (a, m), (b, n), low, high in (((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090)):
        difference = unpaired_difference(wilson(a, m), wilson(b, n))
        assert difference.value == pytest.approx(a / m - b / n)
        assert (difference.low, difference.high) == pytest.approx((low, high), abs=1e-4)
        assert difference.n == m + n
