"""Accuracy against time on the page."""

from dataclasses import replace

import pytest

from tests.delivery.examples import make_run
from tests.delivery.report.pages import parse
from vitrail.delivery.report import render_report
from vitrail.delivery.report.cost_plot import draw_costs, list_ticks
from vitrail.delivery.report.names import Names
from vitrail.runs import Results


def with_speeds(results: Results, speeds: list[float]) -> Results:
    backbones = [
        replace(result, cost=replace(result.cost, images_per_s=speed))
        for result, speed in zip(results.backbones, speeds, strict=True)
    ]
    return replace(results, backbones=tuple(backbones))


def test_the_plot_has_a_point_a_number_and_a_row_for_each_backbone():
    results, predictions = make_run(["a", "b", "c"], backbones=4)
    results = with_speeds(results, [10, 40, 80, 20])
    page = parse(render_report(results, predictions, images=None))
    section = page.by_id("costs")
    svg = section.one("svg")
    assert len({circle.one("title").text for circle in svg.all("circle")}) == 4
    assert [text.text for text in svg.all("text", "number")] == ["1", "2", "3", "4"]
    rows = section.one("tbody").all("tr")
    assert [row.all("td")[0].text for row in rows] == ["12", "25", "50", "100"]
    filled = [circle.classes for circle in svg.all("circle")]
    assert [{"on"} if row.all("td")[-1].text == "yes" else {"off"} for row in rows] == filled
    ends = [row.all("td")[-1].text for row in rows]
    assert all(end == "yes" or end.removeprefix("no: ").removesuffix(" beats it") in "1234" for end in ends)
    assert len(svg.all("line", "front")) == filled.count({"on"}) - 1


def test_the_plot_has_a_title_and_a_description_for_those_who_do_not_see_it():
    results, predictions = make_run(["a", "b", "c"], backbones=3)
    page = parse(render_report(with_speeds(results, [10, 40, 80]), predictions, images=None))
    svg = page.by_id("costs").one("svg")
    assert svg.attributes["role"] == "img"
    assert svg.all("title")[0].text == "Accuracy of each backbone against its milliseconds an image"
    assert svg.one("desc").text == page.by_id("costs").all("p")[0].text.split(" A filled point")[0]


def test_without_two_times_there_is_no_plot_and_one_without_a_time_is_named():
    results, predictions = make_run(["a", "b", "c"], backbones=3)
    alone = with_speeds(results, [10, 0, 0])
    assert draw_costs(alone, Names.of(alone)) is None
    assert 'id="costs"' not in render_report(alone, predictions, images=None)
    two = with_speeds(results, [10, 0, 20])
    assert "Without a measured time: " in parse(render_report(two, predictions, images=None)).by_id("costs").text


@pytest.mark.parametrize(
    ("least", "most"), [(0.0, 0.05), (-1.0, 2.0), (0.5, 1.0), (1.97, 2.03), (-3.0, 4.0), (0.68, 0.7)]
)
def test_an_axis_has_from_two_to_eight_figures_and_all_are_on_it(least, most):
    ticks = list_ticks(least, most)
    assert 2 <= len(ticks) <= 8
    assert all(10**least * (1 - 1e-9) <= tick <= 10**most * (1 + 1e-9) for tick in ticks)


def test_numbers_of_points_that_lie_together_do_not_lie_on_each_other():
    results, _ = make_run(["a", "b", "c"], backbones=4)
    results = with_speeds(results, [20, 20.1, 20.2, 40])
    plot = draw_costs(results, Names.of(results))
    texts = parse(str(plot.drawing)).all("text", "number")
    places = {(text.attributes["x"], text.attributes["y"]) for text in texts}
    assert len(places) == 4
