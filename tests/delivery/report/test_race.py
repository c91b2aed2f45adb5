from tests.delivery.examples import make_run
from tests.delivery.report.pages import parse
from tests.held_races import OUT, add_race
from vitrail.delivery.answer import make_answer
from vitrail.delivery.report import render_report


def test_a_run_without_a_race_has_no_section_of_it():
    results, predictions = make_run(["a", "b", "c"])
    assert 'id="race"' not in render_report(results, predictions, images=None)


def test_every_candidate_has_a_row_and_the_claims_are_those_of_the_results():
    results = add_race(make_run(["a", "b", "c"])[0])
    section = parse(render_report(results, {}, images=None)).by_id("race")
    claims = " ".join(results.race.claims)
    assert claims in " ".join(section.text.split())
    rows = {
        row.one("th").text.split(". ")[1]: [cell.text for cell in row.all("td")]
        for row in section.one("tbody").all("tr")
    }
    assert set(rows) == {*(result.name for result in results.backbones), OUT}
    leader = results.backbones[0].name
    assert rows[OUT] == ["left", "200", "50.0%", leader, "-25.0", "-12.5", "+5.0", "12.5", "2", "2,600"]
    assert rows[leader] == ["finalist", "1,500", "75.0%", "", "", "", "", "", "1", "0"]
    assert "2 min 10 s" in section.text


def test_the_plot_has_a_line_for_each_candidate_and_marks_those_that_are_out():
    results = add_race(make_run(["a", "b", "c"])[0])
    chart = parse(render_report(results, {}, images=None)).by_id("race").one("svg")
    assert len(chart.all("polyline", "val")) == len(results.backbones)
    (out,) = chart.all("polyline", "train")
    assert len(out.attributes["points"].split()) == 2
    assert [text.text for text in chart.all("text", "number")] == [
        str(n + 1) for n in range(len(results.backbones) + 1)
    ]
    assert any(circle.text == f"{OUT}: 50.0% on 200 images" for circle in chart.all("circle"))


def test_the_answer_does_not_compare_the_pick_with_candidates_that_left():
    results = add_race(make_run(["a", "b", "c"])[0])
    count = len(results.backbones)
    assert make_answer(results, "run").trust.endswith(f"(of {count} finalists; {count + 1} candidates raced)")
