"""Numbers as people read them."""

import pytest

from vitrail.delivery.report import words
from vitrail.statistics.intervals import Interval


def _interval(value: float, low: float, high: float) -> Interval:
    return Interval(value=value, low=low, high=high, level=0.95, method="wilson", n=100)


def test_rates_are_percentages_and_differences_have_their_sign() -> None:
    assert words.percent(0.8084) == "80.8%"
    assert words.rate_bounds(_interval(0.8, 0.7911, 0.824)) == "[79.1, 82.4]"
    assert words.points_bounds(_interval(0.1, -0.014, 0.124)) == "[\N{MINUS SIGN}1.4, +12.4]"


@pytest.mark.parametrize("value", [0.0, -0.0, 0.0004, -0.0004])
def test_a_difference_that_rounds_to_nothing_has_no_sign(value: float) -> None:
    assert words.points(value) == "0.0"


@pytest.mark.parametrize(
    ("p", "said"), [(0.0, "<\u202f0.0001"), (0.00027, "0.00027"), (0.034, "0.034"), (0.5, "0.50"), (1.0, "1.00")]
)
def test_a_p_value_is_never_zero(p: float, said: str) -> None:
    assert words.p_value(p) == said


@pytest.mark.parametrize(
    ("p", "said"), [(0.99999, ">\u202f99.9%"), (1.0, "100.0%"), (0.98, "98.0%"), (0.0001, "<\u202f0.1%"), (0.0, "0.0%")]
)
def test_a_probability_is_certain_only_where_it_is(p: float, said: str) -> None:
    assert words.chance(p) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4211, "0.42 s"), (38.2, "38 s"), (725, "12 min 5 s"), (12_000, "3 h 20 min")]
)
def test_durations_are_said_in_the_unit_one_would_say(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("rate", "said"),
    [(250.0, "4.0"), (71.0, "14"), (3.0, "333"), (4000.0, "0.25"), (10.03, "100"), (0.0, "\N{EN DASH}")],
)
def test_a_rate_is_said_as_milliseconds_an_image(rate: float, said: str) -> None:
    assert words.milliseconds(rate) == said


@pytest.mark.parametrize(
    ("rate", "said"), [(1234.6, "1,235"), (123.4, "123"), (38.21, "38.2"), (4.034, "4.03"), (0.0, "0")]
)
def test_a_pace_is_never_said_in_powers_of_ten(rate: float, said: str) -> None:
    assert words.pace(rate) == said


def test_names_break_after_their_joints_and_are_escaped() -> None:
    assert words.breakable("vit_s.<b>") == "vit_<wbr>s.<wbr>&lt;b&gt;"


def test_settings_and_options_are_short() -> None:
    assert words.setting({"learning_rate": 0.001, "epochs": 30}) == "learning rate 0.001, epochs 30"
    assert words.plain((0.5, 0.25)) == "0.5, 0.25"
    assert words.plain(None) == "\N{EN DASH}"
    assert words.plain(True) == "yes"
