from dataclasses import replace
from pathlib import Path

from tests.delivery.examples import make_run
from vitrail.backbones.display_names import display_names
from vitrail.delivery.display import describe_run, draw_run
from vitrail.evaluation.sentences import say_rate
from vitrail.runs import Results

CLASSES = ("chow", "husky", "pug")


def of_a_pick_that_saw_the_images(results: Results) -> Results:
    seen = replace(results.backbones[0].contamination, verdict="seen", share=1.0)
    backbones = (replace(results.backbones[0], contamination=seen), *results.backbones[1:])
    return replace(results, backbones=backbones, decision=replace(results.decision, choose=backbones[0].name))


def test_a_line_names_pick_accuracy_strength_backbones_and_folder():
    results = make_run(CLASSES, backbones=4)[0]
    names = [result.name for result in results.backbones]
    line = describe_run(results, Path("runs/chiens"))
    assert line.startswith(f"<Run on chiens: take {results.decision.choose}, accuracy ")
    assert line.endswith(f"4 backbones: {names[0]}, {names[1]}, {names[2]} and 1 more; runs/chiens>")
    assert len(line) < 350
    assert results.winner is not None
    picked = results.winner.name == results.decision.choose
    assert (say_rate(results.winner.corrected) in line) is picked


def test_what_changes_the_meaning_of_an_accuracy_stands_beside_it():
    results = of_a_pick_that_saw_the_images(make_run(CLASSES)[0])
    assert "], but it saw the test images (" in describe_run(results, Path("run"))
    name = display_names(results.backbones)[results.decision.choose]
    assert f"<b>{name} (saw the test images)</b>" in draw_run(results, Path("run"))


def test_texts_of_users_are_escaped():
    results = make_run(CLASSES)[0]
    hostile = replace(results.decision, caveats=("a class named <script>alert(1)</script>",))
    page = draw_run(replace(results, decision=hostile), Path("<i>.html"))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<code>&lt;i&gt;.html</code>" in page
