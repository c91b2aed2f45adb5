from dataclasses import replace

from tests.delivery.examples import make_run
from tests.delivery.report.pages import parse
from vitrail.delivery.report import render_report
from vitrail.delivery.report.label_curves import draw_label_curves


def _draw(shots, curves, name="a"):
    return draw_label_curves({name: (shots, curves)}).get(name)


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
    found = _draw(one.search.few_shot, one.search.label_curves, "<b>")
    drawn = parse(str(found.chart))
    assert len(drawn.all("circle", "shots-end")) == len(one.search.few_shot)
    assert len(drawn.all("circle", "val-end")) == len(one.search.label_curves[0].points)


def test_a_point_without_an_interval_is_drawn_and_said_without_one():
    one = make_run(["a", "b", "c"])[0].backbones[0]
    (curve, *_) = one.search.label_curves
    bare = replace(curve, points=tuple(replace(point, low=None, high=None) for point in curve.points))
    drawn = parse(str(_draw(one.search.few_shot, (bare,), "a").chart))
    assert len(drawn.all("circle", "val-end")) == len(curve.points)
    assert not drawn.all("line", "val-span")
    assert [dot.one("title").text for dot in drawn.all("circle", "val-end")][-1] == "18 images a class: 79.0%"
    assert len(drawn.all("line", "shots-span")) == len(one.search.few_shot)


def test_the_last_figure_of_the_axis_has_words_and_room_for_them():
    one = make_run(["a", "b", "c"])[0].backbones[0]
    (curve, *_) = one.search.label_curves
    points = tuple(
        replace(point, images_per_class=n) for point, n in zip(curve.points, (12.6, 25.1, 50.3, 101.0), strict=True)
    )
    chart = parse(str(_draw(one.search.few_shot, (replace(curve, points=points),), "a").chart))
    figures = [(text.text, float(text.attributes["x"])) for text in chart.all("text") if "%" not in text.text]
    (last,) = [x for text, x in figures if text == "101 images a class"]
    assert max(x for _, x in figures if x != last) < last - 60
    assert min(abs(a - b) for _, a in figures for _, b in figures if a != b) >= 30


def test_there_is_no_chart_without_figures():
    assert _draw((), ()) is None


def test_all_backbones_have_the_same_axes():
    one, other = make_run(["a", "b", "c"])[0].backbones
    charts = draw_label_curves(
        {
            result.name: (result.search.few_shot[: 4 - k], result.search.label_curves)
            for k, result in enumerate((one, other))
        }
    )
    first, second = (
        [(text.text, text.attributes["y"]) for text in parse(str(charts[name].chart)).all("text") if "%" in text.text]
        for name in (one.name, other.name)
    )
    assert first == second
