import pytest

from vitrail.cli.options import read_margin, read_seconds
from vitrail.core.errors import UsageError


@pytest.mark.parametrize("text", ["1pt", "1", "1%", " 1 pt", "1.0PT", "1 points"])
def test_a_margin_is_points_however_it_is_written(text: str):
    assert read_margin(text) == 0.01


def test_what_is_no_number_is_refused_with_an_example():
    with pytest.raises(UsageError, match="--margin 1pt"):
        read_margin("one")


@pytest.mark.parametrize(
    ("text", "wanted"), [("90", 90), ("90s", 90), ("2m", 120), ("1h30m", 5400), ("1.5m", 90), ("1h1m1s", 3661)]
)
def test_a_time_is_read_as_people_write_it(text, wanted):
    assert read_seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "soon", "2 minutes", "m", "-3", "3m2h"])
def test_what_is_no_time_is_said_to_be_none(text):
    with pytest.raises(UsageError, match="is not a time"):
        read_seconds(text)
