from dataclasses import replace

import pytest

from tests.delivery.examples import make_run
from tests.delivery.report.pages import parse
from vitrail.candidates.deck import Departure
from vitrail.data.traces import Evidence
from vitrail.delivery.report import render_report
from vitrail.delivery.report.deck import compare_deck
from vitrail.delivery.units import NOTHING
from vitrail.evaluation import turn


def test_a_run_without_the_decks_recipe_has_no_chapter_of_it():
    results, predictions = make_run(["a", "b", "c"])
    assert compare_deck(results) is None
    assert 'id="deck"' not in render_report(results, predictions, images=None)


def _with_deck(classes):
    """A run of one backbone under all recipes: the other three of the example stand for its other entries."""
    results, predictions = make_run(classes, backbones=3)
    first, second, third = results.backbones
    said = (Departure(topic="weights", sentence="The deck's ViT was <AugReg's> S/16."),)
    deck = replace(second, card=first.card, recipe="deck", departures=said)
    without = replace(third, card=first.card, recipe="deck-no-equalise", departures=said)
    return replace(results, backbones=(first, deck, without)), predictions


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


def rows_of(results):
    section = parse(render_report(results, {}, images=None)).by_id("deck")
    return section, {row.all("td")[0].text: row for row in section.all("tr")[1:]}


def test_every_recipe_of_a_backbone_stands_side_by_side_with_the_departures():
    results, _ = _with_deck(["a", "b", "c"])
    deck = results.backbones[1]
    section, rows = rows_of(results)
    assert list(rows) == ["deck", "deck-no-equalise", "default"]
    cells = rows["deck"].all("td")
    assert cells[3].text == f"{round(deck.test.top1.value * deck.test.top1.n)} of {deck.test.top1.n}"
    assert cells[-1].text == "weights, images"
    assert "<AugReg's>" in section.one("details").text


def test_the_figures_that_the_deck_printed_are_shown_beside_its_own_classes_alone():
    breeds = [f"breed {k}" for k in range(120)]
    _, rows = rows_of(_as_dogs(_with_deck(breeds)[0]))
    printed = rows["as the deck printed it"]
    assert printed.one("th").text == "ViT-S/16"
    cells = [cell.text for cell in printed.all("td")[1:6]]
    assert cells == ["80.84%", "[79.1, 82.5]", "1,624 of 2,009", NOTHING, "4 h 43 min"]
    assert rows["deck"].all("td")[-1].text == "weights, images, split"
    for results in (_with_deck(breeds)[0], _as_dogs(_with_deck(["a", "b", "c"])[0])):
        section, rows = rows_of(results)
        assert "as the deck printed it" not in rows
        assert "80.84%" not in section.text
        assert "these are other classes" in section.text


def test_equalising_is_tested_on_the_pair_of_the_run_with_the_decks_recipe_first():
    results, _ = _with_deck(["a", "b", "c"])
    (network,) = compare_deck(results).networks
    (stored,) = [pair for pair in results.pairs if {pair.a, pair.b} == {r.name for r in results.backbones[1:]}]
    assert network.equalise == stored
    turned = replace(results, pairs=tuple(turn(pair) for pair in results.pairs))
    assert compare_deck(turned).networks[0].equalise == stored
    only = f"right only with it: {stored.only_a}; only without it: {stored.only_b} (p "
    assert only in network.equalise_sentence
    assert "by McNemar's exact test, corrected for 3 pairs p " in network.equalise_sentence
    grouped = replace(results, pairs=tuple(replace(pair, design_effect=1.2) for pair in results.pairs))
    assert "by McNemar's test for images in groups" in compare_deck(grouped).networks[0].equalise_sentence
    alone = replace(results, backbones=results.backbones[:2])
    assert compare_deck(alone).networks[0].equalise is None


@pytest.mark.parametrize(
    ("conclusion", "difference", "said"),
    [
        ("a is better", (0.02, 0.01, 0.03), "Equalising makes D more accurate, by 2.0 points [1.0, 3.0]."),
        ("b is better", (-0.02, -0.03, -0.01), "Equalising makes D less accurate, by 2.0 points [1.0, 3.0]."),
        ("equivalent", (0.001, -0.002, 0.004), "Equalising changes D by less than 1 point: 0.1 points [-0.2, 0.4]."),
        ("undecided", (-0.01, -0.03, 0.01), "These images do not tell what equalising does to D: -1.0 points ["),
    ],
)
def test_what_equalising_does_is_said_no_stronger_than_the_interval(conclusion, difference, said):
    results, _ = _with_deck(["a", "b", "c"])
    names = [result.name for result in results.backbones]
    value, low, high = difference
    pairs = tuple(
        replace(pair, conclusion=conclusion, difference=replace(pair.difference, value=value, low=low, high=high))
        for pair in results.pairs
    )
    (network,) = compare_deck(replace(results, pairs=pairs)).networks
    assert said in network.equalise_sentence.replace(names[1], "D")


def test_the_contamination_of_all_networks_is_one_sentence():
    results, _ = _with_deck([f"breed {k}" for k in range(120)])
    deck = results.backbones[1]
    seen = replace(deck.contamination, verdict="seen", share=1.0)
    several = (replace(deck, contamination=seen), replace(results.backbones[2], recipe="deck", contamination=seen))
    dogs = _as_dogs(replace(results, backbones=(results.backbones[0], *several)))
    assert compare_deck(dogs).contamination == (
        f"{several[0].name} and {several[1].name} saw the test images in pretraining, so these accuracies may come "
        "from memory, and the deck's networks had seen theirs, since Stanford Dogs was cut from ImageNet."
    )
    sentence = compare_deck(results).contamination
    assert sentence == f"{deck.name} showed no sign of having seen the test images in pretraining."
