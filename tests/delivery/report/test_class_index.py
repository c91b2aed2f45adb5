"""The index of classes by letter."""

from dataclasses import replace

from tests.delivery.examples import make_run
from tests.delivery.report.pages import parse
from vitrail.delivery.report import render_report
from vitrail.delivery.report.class_index import FEW_CLASSES, index_classes


def test_every_class_is_under_its_letter_whatever_id_or_number_is_in_front() -> None:
    names = [
        "n02085620-Chihuahua",
        "042.cardinal",
        "Émeu",
        "beagle",
        "7up",
        *(f"Zebra {k}" for k in range(FEW_CLASSES)),
    ]
    results, _ = make_run(names)
    letters = {letter.letter: [row.name for row in letter.rows] for letter in index_classes(results.backbones)}
    assert list(letters) == ["B", "C", "Z", "É", "#"]
    assert letters["C"] == ["042.cardinal", "n02085620-Chihuahua"]
    assert letters["#"] == ["7up"]
    assert sum(map(len, letters.values())) == len(names)


def test_a_class_has_the_figures_of_every_backbone() -> None:
    results, _ = make_run([f"class {k}" for k in range(FEW_CLASSES + 1)])
    (letter,) = index_classes(results.backbones)
    for row in letter.rows:
        assert [found.name for found in row.classes] == [row.name] * len(results.backbones)
    page = parse(render_report(results, {}, images=None)).by_id("classes")
    assert len(page.one("details", "letter").one("tbody").all("tr")) == FEW_CLASSES + 1


def test_a_class_without_test_images_has_no_figure() -> None:
    results, _ = make_run([f"class {k}" for k in range(FEW_CLASSES + 1)], backbones=1)
    (one,) = results.backbones
    first = replace(one.per_class[0], n=0, recall=None)
    results = replace(results, backbones=(replace(one, per_class=(first, *one.per_class[1:])),))
    row = (
        parse(render_report(results, {}, images=None))
        .by_id("classes")
        .one("details", "letter")
        .one("tbody")
        .all("tr")[0]
    )
    assert [cell.text for cell in row.all("td")] == ["0", "\N{EN DASH}"]


def test_a_few_classes_need_no_index() -> None:
    results, _ = make_run([f"class {k}" for k in range(FEW_CLASSES)])
    assert index_classes(results.backbones) == ()
