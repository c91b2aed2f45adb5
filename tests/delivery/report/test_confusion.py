"""The confusion picture and the worst pairs."""

import numpy as np

from tests.delivery.report.pages import parse
from vitrail.delivery.report.confusion import MOST_CLASSES, draw_confusion
from vitrail.heads.head import Predictions


def _predictions(label: list[int], answer: list[int], classes: int) -> Predictions:
    return Predictions(
        name="vit",
        ids=tuple(str(i) for i in range(len(label))),
        label_N=np.array(label),
        probability_NC=np.eye(classes)[answer],
    )


def test_the_worst_mixups_are_counted_from_label_to_answer() -> None:
    confusion = draw_confusion(_predictions([0, 0, 0, 1, 2], [1, 1, 0, 0, 2], 3), ["cat", "dog", "owl"])
    assert [(m.label, m.answer, m.times, m.n) for m in confusion.worst] == [("cat", "dog", 2, 3), ("dog", "cat", 1, 1)]
    assert (confusion.mixups, confusion.shown, confusion.reordered) == (2, 3, False)


def test_every_answer_that_was_given_has_its_cell_with_words() -> None:
    picture = parse(draw_confusion(_predictions([0, 0, 1], [1, 0, 1], 2), ["<b>", "dog"]).picture)
    said = {cell.one("title").text for cell in picture.all("path") if cell.all("title")}
    assert said == {"<b>: 1 of 2 recognised", "<b> taken for dog: 1 of 2", "dog: 1 of 1 recognised"}


def test_of_many_classes_those_that_are_mixed_up_stand_side_by_side() -> None:
    label = list(range(30)) * 2
    answer = list(range(30)) + [(i + 15) % 30 for i in range(30)]
    confusion = draw_confusion(_predictions(label, answer, 30), [f"c{i}" for i in range(30)])
    assert confusion.reordered
    order = [int(name.text[1:]) for name in parse(confusion.picture).all("text", "row-name")]
    assert sorted(order) == list(range(30))
    assert all(abs(order.index(i) - order.index(i + 15)) == 1 for i in range(15))


def test_of_too_many_classes_the_most_confused_are_shown() -> None:
    count = MOST_CLASSES + 50
    label = list(range(count))
    answer = [*range(1, 20), 0, *range(20, count)]
    confusion = draw_confusion(_predictions(label, answer, count), [f"c{i}" for i in range(count)])
    assert confusion.shown == MOST_CLASSES
    names = {name.text for name in parse(confusion.picture).all("text", "row-name")}
    assert {f"c{i}" for i in range(20)} <= names


def test_a_run_without_errors_has_a_picture_and_no_mixups() -> None:
    confusion = draw_confusion(_predictions(list(range(25)), list(range(25)), 25), [f"c{i}" for i in range(25)])
    assert confusion.worst == ()
    assert len(parse(confusion.picture).all("path", "right")) == 25


def test_names_and_numbers_of_a_large_map_can_be_read_and_each_row_adds_up() -> None:
    count = 120
    label = [k for k in range(count) for _ in range(3)]
    answer = [(k + j * (k % 7)) % count for k in range(count) for j in range(3)]
    drawn = parse(
        draw_confusion(
            _predictions(label, answer, count), [f"a long name of a class {k}" for k in range(count)]
        ).picture
    )
    svg = drawn.one("svg")
    (group,) = [one for one in svg.all("g") if "font-size" in one.attributes]
    assert float(group.attributes["font-size"]) >= 11
    (cells,) = svg.all("g", "cells")
    scale = float(cells.attributes["transform"].split("scale(")[1].rstrip(")"))
    numbers = svg.all("text", "times")
    assert min(float(text.attributes["font-size"]) * scale for text in numbers) >= 11
    rows: dict[str, int] = {}
    for text in numbers:
        rows[text.attributes["y"]] = rows.get(text.attributes["y"], 0) + int(text.text)
    assert set(rows.values()) == {3}
    assert [name.text for name in svg.all("text", "column-name")][-1] == "other"
