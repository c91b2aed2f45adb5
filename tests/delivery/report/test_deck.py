from dataclasses import replace

from tests.delivery.examples import make_run
from tests.delivery.report.pages import parse
from vitrail.data.traces import Evidence
from vitrail.delivery.report import render_report
from vitrail.delivery.report.deck import compare_deck


def test_a_run_without_the_decks_recipe_has_no_chapter_of_it():
    results, predictions = make_run(["a", "b", "c"])
    assert compare_deck(results) is None
    assert 'id="deck"' not in render_report(results, predictions, images=None)


def _with_deck(classes):
    results, predictions = make_run(classes)
    first, second = results.backbones
    deck = replace(second, card=first.card, recipe="deck", departures=("The deck's ViT was <AugReg's> S/16.",))
    return replace(results, backbones=(first, deck)), predictions


def _as_dogs(results):
    dogs = Evidence(
        kind="known data set",
        strength="probable",
        collection="ImageNet-1k",
        share=1.0,
        sentence="the classes are those of Stanford Dogs",
    )
    backbones = tuple(
        replace(one, contamination=replace(one.contamination, evidence=(dogs,))) for one in results.backbones
    )
    return replace(results, backbones=backbones)


def test_both_recipes_of_a_backbone_stand_side_by_side_with_the_departures():
    results, predictions = _with_deck(["a", "b", "c"])
    deck = results.backbones[1]
    section = parse(render_report(results, predictions, images=None)).by_id("deck")
    rows = section.all("tr")[1:]
    assert sorted(row.all("td")[0].text for row in rows) == ["deck", "default"]
    (of_deck,) = [row.all("td") for row in rows if row.all("td")[0].text == "deck"]
    assert of_deck[3].text == f"{round(deck.test.top1.value * deck.test.top1.n)} of {deck.test.top1.n}"
    assert "<AugReg's>" in section.one("details").text


def test_the_figures_that_the_deck_printed_are_shown_beside_its_own_classes_alone():
    breeds, predictions = _with_deck([f"breed {k}" for k in range(120)])
    section = parse(render_report(_as_dogs(breeds), predictions, images=None)).by_id("deck")
    (of_deck,) = [row.all("td") for row in section.all("tr")[1:] if row.all("td")[0].text == "deck"]
    assert "80.84%" in of_deck[-1].text
    for results in (breeds, _as_dogs(_with_deck(["a", "b", "c"])[0])):
        section = parse(render_report(results, {}, images=None)).by_id("deck")
        assert "80.84%" not in section.text
        assert "these are other classes" in section.text
