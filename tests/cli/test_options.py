import pytest

from vitrail.cli.options import read_margin
from vitrail.core.errors import UsageError


@pytest.mark.parametrize("text", ["1pt", "1", "1%", " 1 pt", "1.0PT", "1 points"])
def test_a_margin_is_points_however_it_is_written(text: str):
    assert read_margin(text) == 0.01


def test_what_is_no_number_is_refused_with_an_example():
    with pytest.raises(UsageError, match="--margin 1pt"):
        read_margin("one")
