"""The little SVG that the report draws."""

import pytest

from vitrail.delivery.report.svg import Axis, element, fit, interval_mark
from vitrail.statistics.intervals import Interval


def test_text_and_attributes_are_escaped() -> None:
    drawn = element("text", "<b>&", class_='a"b', text_anchor="end", x=1.50)
    assert drawn == '<text class="a&#34;b" text-anchor="end" x="1.5">&lt;b&gt;&amp;</text>'


@pytest.mark.parametrize("figures", [[0.55, 0.81], [0.5, 0.5], [0.0, 1.0], [-0.2, 0.31], [3.2, 1e6], [1e-9, 2e-9]])
@pytest.mark.parametrize("snug", [True, False])
def test_an_axis_holds_its_figures_and_has_ticks_inside(figures: list[float], snug: bool) -> None:
    axis = fit(figures, start=10, end=110, ticks=5, snug=snug)
    assert axis.low <= min(figures) <= max(figures) <= axis.high
    assert 1 <= len(axis.ticks()) <= 12
    assert all(10 - 1e-6 <= axis.at(tick) <= 110 + 1e-6 for tick in axis.ticks())


def test_an_axis_of_rates_ends_at_one() -> None:
    assert fit([0.2, 0.97], start=0, end=1, ticks=4, most=1.0).high == 1.0


def test_a_mark_reaches_from_low_to_high_with_the_dot_at_the_value() -> None:
    axis = Axis(low=0.0, high=1.0, step=0.5, start=0.0, end=100.0)
    interval = Interval(value=0.5, low=0.25, high=0.75, level=0.95, method="wilson", n=9)
    mark = interval_mark(interval, axis, 5.0)
    assert 'x1="25" x2="75"' in mark
    assert 'cx="50"' in mark
