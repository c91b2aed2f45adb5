"""What the page says of contamination and of when not to answer."""

from dataclasses import replace

import numpy as np
import pytest

from tests.delivery.examples import make_run
from tests.delivery.report.pages import parse
from vitrail.backbones.display_names import display_names
from vitrail.candidates.thresholds import fit_refusal
from vitrail.candidates.untuned import answer_untuned
from vitrail.data.traces import Evidence, Traces
from vitrail.delivery.report import render_report
from vitrail.delivery.report.reliability import draw_reliability
from vitrail.evaluation.contamination import weigh
from vitrail.evaluation.thresholds import check_refusal
from vitrail.heads.bank import fill_bank
from vitrail.runs import Results
from vitrail.statistics.calibration_error import reliability
from vitrail.statistics.intervals import wilson

CLASSES = [f"<b>class {place}</b>" for place in range(8)]


@pytest.fixture(scope="module")
def told() -> Results:
    """A run of which everything is known: one backbone saw the test images, both have thresholds."""
    results, predictions = make_run(CLASSES, per_class=30)
    backbones = []
    for place, one in enumerate(results.backbones):
        rows = predictions[one.name]
        n = len(rows.ids)
        feature_ND = np.random.default_rng(place).normal(size=(n, 12)).astype(np.float32)
        refusal = fit_refusal(fill_bank(rows.ids, feature_ND), rows.probability_NC, rows.label_N)
        untuned = answer_untuned(
            np.log(rows.probability_NC),
            {index: (index,) for index in range(8)},
            label_set="ImageNet-1k",
            matched_by="names",
        )
        evidence = Evidence(
            kind="file names",
            strength="proof",
            collection="ImageNet-1k",
            share=1.0,
            sentence="about 100% are named so",
        )
        traces = Traces(
            trained_on=("ImageNet-1k",) if place == 0 else (),
            named_after=(),
            local_file=False,
            pretraining="stated" if place == 0 else "stated otherwise",
            labels_seen=True,
            evidence=(evidence,),
            named_N=np.full(n, place == 0),
            untuned=untuned,
        )
        correct_N = rows.probability_NC.argmax(axis=1) == rows.label_N
        backbones.append(
            replace(
                one,
                contamination=weigh(traces, one.name, rows.label_N, rows.probability_NC.argmax(axis=1)),
                refusal=check_refusal(refusal, rows.probability_NC, refusal.strange(feature_ND), rows.label_N),
                reliability=reliability(rows.probability_NC.max(axis=1), correct_N),
            )
        )
    return replace(results, backbones=tuple(backbones))


def test_what_each_backbone_saw_stands_beside_its_untuned_classifier(told: Results):
    section = parse(render_report(told, {}, images=None)).by_id("contamination")
    rows = section.one("tbody").all("tr")
    verdicts = {row.one("th").text: row.all("td")[0].text for row in rows}
    names = list(display_names(told.backbones).values())
    assert verdicts == {names[0]: "seen, 100%", names[1]: "not seen"}
    assert "memory of training data" in section.text
    tags = parse(render_report(told, {}, images=None)).by_id("figures").all("span", "tag")
    assert [tag.text for tag in tags if tag.text != "chosen"] == ["saw the test images"]


def test_every_promise_stands_with_what_became_of_it(told: Results):
    section = parse(render_report(told, {}, images=None)).by_id("refusal")
    cards = section.all("article")
    assert len(cards) == 2
    assert section.text.count("no finite-sample guarantee") == 1
    for card in cards:
        assert [row.one("th").text for row in card.one("tbody").all("tr")] == [
            "lac",
            "adaptive",
            "lac-by-class",
            "adaptive-by-class",
        ]


def _doubt(told: Results, **changed: object) -> str:
    """The card of the first backbone, with its refusal changed."""
    one = told.backbones[0]
    changed_one = replace(one, refusal=replace(one.refusal, **changed))
    page = render_report(replace(told, backbones=(changed_one, *told.backbones[1:])), {}, images=None)
    name = display_names(told.backbones)[one.name]
    return next(card.text for card in parse(page).by_id("refusal").all("article") if card.one("h3").text == name)


def test_what_is_answered_stands_with_its_interval(told: Results):
    said = _doubt(told, confidence=0.6, precision=wilson(190, 200), answered=wilson(200, 240))
    assert "They are 83.3% [78.1, 87.5] of the test images." in said


def test_what_groups_change_is_said_where_there_are_groups(told: Results):
    assert "new group" not in parse(render_report(told, {}, images=None)).by_id("refusal").text
    grouped = [replace(one, refusal=replace(one.refusal, groups=40)) for one in told.backbones]
    page = render_report(replace(told, backbones=tuple(grouped)), {}, images=None)
    said = parse(page).by_id("refusal").text
    assert "These images come from 40 groups: every promise is about an image drawn from a new group" in said


def test_that_nothing_is_promised_and_that_nothing_is_sure_enough_are_told_apart(told: Results):
    unpromised = _doubt(told, confidence=None, precision=None, answered=None)
    assert "95.0% of answers are right: not found by this test on 240 training images" in unpromised
    assert "No answer is withheld" in unpromised
    unsure = _doubt(told, confidence=0.999, precision=None, answered=wilson(0, 240))
    assert "no test image is that sure: none would be answered" in unsure
    assert "No answer is withheld" not in unsure


def test_the_drawing_has_a_dot_a_bin_and_says_what_it_shows():
    bins = reliability(np.array([0.3, 0.9, 0.95]), np.array([True, True, False]))
    drawn = draw_reliability(bins, "net")
    assert drawn.count("<circle") == len(bins) == 3
    assert "1 images: 30.0% sure on average, 100.0% right" in drawn
