from tests.delivery.examples import make_run
from tests.delivery.report.pages import parse
from vitrail.delivery.report import render_report
from vitrail.delivery.report.labels import draw_labels


def test_the_page_shows_what_labels_are_worth_and_hides_nothing_of_a_hostile_name():
    results, predictions = make_run(["a", "b", "c"])
    page = parse(render_report(results, predictions, images=None))
    section = page.by_id("labels")
    assert "are worth about +3.1 points" in section.text
    assert len(section.all("table")) == len(results.backbones)
    assert [row.one("th").text for row in section.all("table")[0].all("tr")[1:]] == ["1", "2", "5", "10"]
    assert "<script>" not in render_report(results, predictions, images=None)


def test_every_point_of_both_lines_is_drawn():
    one = make_run(["a", "b", "c"])[0].backbones[0]
    found = draw_labels(one.search.few_shot, one.search.label_curves, "<b>")
    drawn = parse(str(found.chart))
    assert len(drawn.all("circle", "shots-end")) == len(one.search.few_shot)
    assert len(drawn.all("circle", "val-end")) == len(one.search.label_curves[0].points)


def test_there_is_no_chart_without_figures():
    assert draw_labels((), (), "a") is None
