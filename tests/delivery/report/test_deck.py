from dataclasses import replace

from tests.delivery.examples import make_run
from tests.delivery.report.pages import parse
from vitrail.delivery.report import render_report
from vitrail.delivery.report.deck import compare_deck


def test_a_run_without_the_decks_recipe_has_no_chapter_of_it():
    results, predictions = make_run(["a", "b", "c"])
    assert compare_deck(results) is None
    assert 'id="deck"' not in render_report(results, predictions, images=None)


def test_both_recipes_of_a_backbone_stand_side_by_side_with_the_departures():
    results, predictions = make_run(["a", "b", "c"])
    first, second = results.backbones
    deck = replace(second, card=first.card, recipe="deck", departures=("The deck's ViT was <AugReg's> S/16.",))
    results = replace(results, backbones=(first, deck))
    section = parse(render_report(results, predictions, images=None)).by_id("deck")
    rows = section.all("tr")[1:]
    assert sorted(row.all("td")[0].text for row in rows) == ["deck", "default"]
    (of_deck,) = [row.all("td") for row in rows if row.all("td")[0].text == "deck"]
    assert of_deck[3].text == f"{round(deck.test.top1.value * deck.test.top1.n)} of {deck.test.top1.n}"
    assert "80.84%" in of_deck[-1].text
    assert "<AugReg's>" in section.one("details").text
