"""The page as a whole: escaped, self-contained, complete, and light enough to send."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.delivery.examples import BACKBONES, NASTY, make_images, make_run
from tests.delivery.report.pages import Element, parse
from vitrail.core.errors import RunError
from vitrail.data import SetAside
from vitrail.delivery.answer import make_answer
from vitrail.delivery.report import render_report, write_report

FETCHING = {"src", "href", "srcset", "data", "action", "poster", "background", "cite", "formaction", "xlink:href"}
INTERVAL = re.compile(r"^\[[\N{MINUS SIGN}\d., +]+\]$")


def _page(**kwargs: object) -> tuple[str, Element]:
    results, predictions = make_run(**kwargs)  # type: ignore[arg-type]
    page = render_report(results, predictions, images=make_images(predictions))
    return page, parse(page)


@pytest.fixture(scope="module")
def dogs() -> tuple[str, Element]:
    return _page(classes=[f"n0{i}-épagneul_{i}" for i in range(120)], backbones=4)


@pytest.mark.parametrize("backbones", [1, 2, 4])
@pytest.mark.parametrize("classes", [2, 7])
def test_a_page_is_well_formed_whatever_the_number_of_backbones_and_classes(backbones: int, classes: int) -> None:
    _, page = _page(classes=[f"class {i}" for i in range(classes)], backbones=backbones)
    assert len(page.by_id("figures").one("table").all("tbody")) == backbones
    assert len(page.by_id("classes").all("details", "chapter")) == backbones
    pairs = [one for one in page.all() if one.attributes.get("id") == "pairs"]
    assert len(pairs) == (backbones > 1)
    if pairs:
        assert len(pairs[0].one("tbody").all("tr")) == backbones * (backbones - 1) // 2


def test_nothing_on_the_page_is_fetched_from_anywhere(dogs: tuple[str, Element]) -> None:
    text, page = dogs
    for element in page.all():
        assert element.tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        for name, value in element.attributes.items():
            assert not name.startswith("on"), f"<{element.tag}> has a handler {name}"
            if name in FETCHING:
                assert value.startswith(("#", "data:image/")), f"<{element.tag} {name}> leads to {value[:60]}"
    assert not re.search(r"url\(|@import|@font-face|https?://", text)


def test_the_page_forbids_itself_scripts_and_the_network(dogs: tuple[str, Element]) -> None:
    (policy,) = [one.attributes["content"] for one in dogs[1].all("meta") if "http-equiv" in one.attributes]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def test_every_link_leads_to_a_section_that_is_there(dogs: tuple[str, Element]) -> None:
    ids = [one.attributes["id"] for one in dogs[1].all() if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    assert {one.attributes["href"].removeprefix("#") for one in dogs[1].all("a")} <= set(ids)


def test_hostile_names_are_shown_and_never_obeyed() -> None:
    aside = [SetAside(path=f"{name}.jpg", reason=f"it is {name}") for name in NASTY]
    results, predictions = make_run(NASTY, set_aside=aside, warnings=[f"beware of {NASTY[0]}"])
    results = replace(results, data=replace(results.data, name=NASTY[2]), command=f"vitrail bench '{NASTY[2]}'")
    page = parse(render_report(results, predictions, images=make_images(predictions)))
    assert not page.all("script")
    assert {one.attributes["src"][:11] for one in page.all("img")} == {"data:image/"}
    text = page.text
    for name in NASTY:
        assert name in text
        assert f"{name}.jpg" in text
        assert f"it is {name}" in text
    assert page.one("head").one("title").text.startswith(NASTY[2])
    assert "chiens/<b>été</b>" in text
    assert "49 &" not in text


def test_every_figure_of_the_table_stands_with_its_interval(dogs: tuple[str, Element]) -> None:
    bodies = dogs[1].by_id("figures").one("table", "figures").all("tbody")
    assert len(bodies) == 4
    for body in bodies:
        cells = [cell for cell in body.all("td") if cell.all("b")]
        assert len(cells) == 7
        assert all(INTERVAL.match(cell.all("small")[0].text) for cell in cells)
        assert sum("null" in cell.text for cell in cells) == 1
        assert len(body.one(class_="drawn").all("circle", "dot")) == 1


def test_the_calibration_error_by_mass_of_each_backbone_stands_with_its_interval_and_null(
    dogs: tuple[str, Element],
) -> None:
    for terms in dogs[1].by_id("figures").all("div", "terms"):
        facts = dict(zip((dt.text for dt in terms.all("dt")), (dd.text for dd in terms.all("dd")), strict=True))
        assert re.fullmatch(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\], null 0\.\d{3}", facts["ECE by mass"])


def test_the_full_name_of_each_backbone_stands_once_under_the_figures(dogs: tuple[str, Element]) -> None:
    full = [terms.all("code")[0].text for terms in dogs[1].by_id("figures").all("div", "terms")]
    assert sorted(full) == sorted(name for name, _ in BACKBONES)


def test_every_difference_and_every_class_stands_with_its_interval(dogs: tuple[str, Element]) -> None:
    for row in dogs[1].by_id("pairs").one("tbody").all("tr"):
        assert INTERVAL.match(row.one("td", "first").one("small").text)
    for chapter in dogs[1].by_id("classes").all("details", "chapter"):
        rows = chapter.one("ol", "classes").all("li")
        assert len(rows) == 120
        assert all(INTERVAL.match(row.one(class_="rate").one("small").text) for row in rows)


def test_the_table_of_pairs_names_the_test_of_its_p_values() -> None:
    results, predictions = make_run(["a", "b"], backbones=3)
    for effect, test in ((1.0, "McNemar's exact test"), (1.5, "McNemar's test for images in groups")):
        pairs = tuple(replace(pair, design_effect=effect) for pair in results.pairs)
        page = parse(render_report(replace(results, pairs=pairs), predictions, images=make_images(predictions)))
        (heading,) = [one for one in page.by_id("pairs").all("abbr") if one.text == "McNemar p"]
        assert heading.attributes["title"].startswith(test)


def test_the_answer_stands_first_then_the_figures_then_reasons_and_caveats() -> None:
    warning = "The dogs were seen in pretraining."
    results, predictions = make_run(["a", "b", "c"], warnings=[warning])
    page = parse(render_report(results, predictions, images=None, run="runs/dogs"))
    answer, header = make_answer(results, "runs/dogs"), page.one("header")
    assert header.one("h1").text == answer.headline
    rows = list(zip((dt.text for dt in header.all("dt")), (dd.text for dd in header.all("dd")), strict=True))
    assert rows[: len(answer.rows())] == list(answer.rows())
    assert [code.text for code in header.all("code")] == [step.command for step in answer.next_steps]
    assert [one.attributes["id"] for one in page.one("main").all("section")] == ["figures", "reasons"]
    reasons = page.by_id("reasons")
    assert len(reasons.one("ul", "because").all("li")) == len(results.decision.because)
    assert [li.text for li in reasons.one("ul", "caveats").all("li")] == list(answer.caveats)
    assert page.text.count(warning) == 1


@pytest.mark.parametrize("backbones", [1, 4])
def test_no_caveat_stands_twice_on_the_page(backbones: int) -> None:
    results, predictions = make_run(["a", "b", "c"], backbones=backbones)
    page = parse(render_report(results, predictions, images=None))
    answer = make_answer(results, "RUN")
    for caveat in filter(None, (answer.doubt, *answer.caveats)):
        assert page.text.count(caveat) == 1


def test_only_the_answer_the_figures_and_the_reasons_are_open(dogs: tuple[str, Element]) -> None:
    folds = dogs[1].one("main").all("details", "section")
    assert len(folds) >= 9
    assert not any("open" in fold.attributes for fold in folds)
    assert len([one for one in dogs[1].by_id("classes").all("details", "chapter") if "open" in one.attributes]) == 1


def test_boxes_that_scroll_have_names_of_their_own(dogs: tuple[str, Element]) -> None:
    boxes = dogs[1].all("div", "scroll")
    assert all(box.attributes["role"] == "group" and box.attributes["tabindex"] == "0" for box in boxes)
    assert all(box.attributes["aria-label"] for box in boxes)


def test_no_header_of_a_table_is_empty(dogs: tuple[str, Element]) -> None:
    assert all(cell.text.strip() for cell in dogs[1].all("th"))


def test_a_split_without_val_has_no_figures_of_val() -> None:
    results, predictions = make_run(["a", "b", "c"])
    counts = {part: number for part, number in results.data.counts.items() if part != "val"}
    results = replace(results, data=replace(results.data, counts=counts))
    curves = parse(render_report(results, predictions, images=None)).by_id("curves")
    assert "This split has no val" in curves.text
    assert "val loss" not in curves.text
    assert "fold loss" in curves.text
    page = parse(render_report(results, predictions, images=None))
    for section in ("curves", "luck", "labels", "conditions"):
        assert not re.search(r"on val\b|and val\b|val of each", page.by_id(section).text), section


def test_a_second_opening_of_the_test_split_is_a_warning_beside_the_figures() -> None:
    results, predictions = make_run(["a", "b", "c"])
    results = replace(results, split=replace(results.split, test_openings=3))
    figures = parse(render_report(results, predictions, images=None)).by_id("figures")
    assert "opened 3 times, each time with other choices (first on 2026-11-02)" in figures.one("ul", "caveats").text


def test_a_warning_that_is_no_caveat_stands_beside_the_figures() -> None:
    results, predictions = make_run(["a", "b", "c"])
    results = replace(results, data=replace(results.data, warnings=("<b>tiny</b> classes",)))
    figures = parse(render_report(results, predictions, images=None)).by_id("figures")
    assert "<b>tiny</b> classes" in figures.one("ul", "caveats").text


def test_the_page_of_120_classes_and_4_backbones_is_under_2_megabytes(dogs: tuple[str, Element]) -> None:
    assert len(dogs[0].encode()) < 2_000_000


def test_many_files_set_aside_are_counted_by_reason_and_fold_and_stay_bounded() -> None:
    aside = [SetAside(path=f"{i}.jpg", reason=f"too large: {i} x 9") for i in range(30_000)]
    results, predictions = make_run(["a", "b"], set_aside=aside)
    text = render_report(results, predictions, images=None)
    data = parse(text).by_id("data")
    assert "30,000 files are not used" in data.text
    assert "too large 30,000" in data.one("div", "columns").text
    assert "And 29,000 more, which results.json names." in data.text
    assert len(text.encode()) < 2_000_000


def test_a_run_without_anything_set_aside_says_so() -> None:
    _, page = _page(classes=["a", "b"])
    assert "Nothing: every file was used." in page.by_id("data").text


def test_a_page_made_without_the_images_and_predictions_says_what_is_missing() -> None:
    results, predictions = make_run(["a", "b", "c"])
    without_images = parse(render_report(results, predictions, images=None)).by_id("classes")
    assert not without_images.all("img")
    assert "The images themselves are not at hand" in without_images.text
    without_either = parse(render_report(results, {}, images=None)).by_id("classes")
    assert without_either.text.count("predictions of this backbone are not at hand") == 2


def test_a_run_without_softmax_heads_says_so() -> None:
    _, page = _page(classes=["a", "b"], epochs=0)
    assert page.by_id("curves").text.count("No softmax head was trained on this backbone.") == 2


def test_facts_that_nobody_confirmed_are_not_stated() -> None:
    results, predictions = make_run(["a", "b"], backbones=1)
    (one,) = results.backbones
    unknown = replace(one, card=replace(one.card, licence="", pretraining=()))
    page = parse(render_report(replace(results, backbones=(unknown,)), predictions, images=None))
    assert page.by_id("figures").one("div", "terms").text.count("not stated") == 2


def test_the_page_is_written_whole_and_in_utf_8(tmp_path: Path) -> None:
    results, predictions = make_run(["été", "b\udcff"], backbones=1)
    write_report(results, predictions, images=None, path=tmp_path / "report.html")
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "été" in text
    assert r"b\udcff" in text


def test_a_place_that_cannot_be_written_is_an_error_that_says_where(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.mkdir()
    results, predictions = make_run(["a", "b"], backbones=1)
    with pytest.raises(RunError, match=r"report\.html could not be written"):
        write_report(results, predictions, images=None, path=path)


def test_what_was_not_done_in_a_search_stands_beside_the_figures_once() -> None:
    results, predictions = make_run(["a", "b"])
    note = "Rows <b>stay</b> on disk."
    backbones = tuple(replace(one, search=replace(one.search, notes=(note,))) for one in results.backbones)
    page = render_report(replace(results, backbones=backbones), predictions, images=None)
    assert parse(page).by_id("figures").text.count(note) == 1
    assert note not in page


def test_how_the_images_of_each_backbone_were_decoded_is_said(dogs: tuple[str, Element]) -> None:
    assert (
        dogs[1].text.count(
            "images were decoded in full; compared with a fraction of their size on 64 large JPEGs: 1 answer"
        )
        == 4
    )
