"""How the candidates were chosen, on the page."""

from dataclasses import replace

from tests.delivery.examples import make_run
from tests.delivery.report.pages import parse
from vitrail.candidates.automatic import AutomaticChoice, ChosenBackbone, LeftOut
from vitrail.candidates.shortlist import ShortlistOptions
from vitrail.delivery.report import render_report


def test_the_rule_each_candidate_and_what_was_left_out_are_on_the_page():
    results, predictions = make_run(["a", "b", "c"], backbones=2)
    first, second = (result.name for result in results.backbones)
    chosen = ChosenBackbone(name=first, kind="supervised", reason="supervised on <b>x</b>", weights="hub", ms=12.34)
    file = ChosenBackbone(
        name=second,
        kind="supervised",
        reason="another size",
        weights="given folder",
        recognised="names and shapes",
        fits=("a", "b", "c", "d", "e"),
    )
    gone = replace(chosen, name="left_the_race", weights="hub's cache", ms=None)
    automatic = AutomaticChoice(
        rule="3 of 40 eligible backbones (no conditions).",
        options=ShortlistOptions(),
        given=(),
        offline=False,
        network="",
        backbones=(chosen, file, gone),
        left_out=(
            LeftOut(name="slow_a", reason="more than 20 ms an image on this machine", ms=41.26),
            LeftOut(name="slow_b", reason="more than 20 ms an image on this machine", ms=30),
            LeftOut(name="notes.pth", reason="it is damaged"),
        ),
    )
    page = parse(render_report(replace(results, automatic=automatic), predictions, images=None))
    section = page.by_id("candidates")
    assert "3 of 40 eligible backbones" in section.all("p")[0].text
    items = [item.text for item in section.one("ol").all("li")]
    assert "supervised on <b>x</b>; weights downloaded; 12.3 ms an image, measured beforehand" in items[0]
    assert "recognised by names and shapes (as well for a, b, c and 2 more)" in items[1]
    assert items[2].startswith("left_the_race")
    assert "nobody states their origin" in section.text
    assert [term.text for term in section.all("dt")] == ["More than 20 ms an image on this machine", "It is damaged"]
    assert section.all("dd")[0].text == "slow_a (41.3 ms), slow_b (30 ms)"
    assert [link.text for link in page.one("nav").all("a") if link.attributes["href"] == "#candidates"] == [
        "Candidates"
    ]


def test_a_run_of_named_backbones_has_no_such_section():
    results, predictions = make_run(["a", "b", "c"])
    assert 'id="candidates"' not in render_report(results, predictions, images=None)
