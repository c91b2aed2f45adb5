"""The short answer says what the decision and its figures say, once, in words that fit a small terminal."""

from dataclasses import replace

import pytest

from tests.delivery.examples import make_run
from vitrail.backbones.cards import of_local_file
from vitrail.backbones.display_names import display_names
from vitrail.delivery.answer import Answer, NextStep, make_answer, merge_caveats, say_untuned
from vitrail.evaluation.contamination import UntunedAccuracy
from vitrail.evaluation.sentences import say_rate
from vitrail.runs import Results
from vitrail.statistics.intervals import wilson

CLASSES = ["a", "b", "c"]


def results_with(verdict: str = "no sign", **changes: object) -> Results:
    """A run whose backbones all have this verdict of contamination."""
    results, _ = make_run(CLASSES, backbones=3)
    sentences = {
        r.name: f"{r.name} may have seen them: it is a local file, and {r.name}'s data is unknown. Beware."
        for r in results.backbones
    }
    backbones = tuple(
        replace(r, contamination=replace(r.contamination, verdict=verdict, share=1.0, sentence=sentences[r.name]))
        for r in results.backbones
    )
    decision = replace(results.decision, caveats=(*sentences.values(), "Few images."))
    return replace(results, backbones=backbones, decision=decision, **changes)


def rows(answer: Answer) -> dict[str, str]:
    return dict(answer.rows())


def test_the_answer_names_the_pick_shortly_and_once_in_full():
    results, _ = make_run(CLASSES)
    answer = make_answer(results, "runs/x")
    assert answer.full_name == results.decision.choose
    assert answer.headline == f"Take {display_names(results.backbones)[answer.full_name]}"
    assert all(r.name not in text for r in results.backbones for _, text in answer.rows())
    assert "/" in rows(answer)["Cost"]
    assert list(rows(answer)) == ["Expect", "Trust", "Why", "But", "Cost"]


def test_the_expected_accuracy_of_the_best_allows_for_the_choice():
    results, _ = make_run(CLASSES)
    assert results.winner is not None
    best = results.winner
    picked = replace(results, decision=replace(results.decision, choose=best.name))
    corrected = f"{100 * best.corrected.value:.1f}% [{100 * best.corrected.low:.1f}, {100 * best.corrected.high:.1f}]"
    assert (
        rows(make_answer(picked, "r"))["Expect"] == f"{corrected} of images like these (95% interval for the best of 2)"
    )
    other = next(r for r in results.backbones if r.name != best.name)
    second = replace(results, decision=replace(results.decision, choose=other.name))
    assert "the best of" not in rows(make_answer(second, "r"))["Expect"]
    assert f"{100 * other.test.top1.value:.1f}% [" in rows(make_answer(second, "r"))["Expect"]


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        ("seen", " here, but it saw the test images: less on new ones"),
        ("probably", "perhaps less, since it probably saw the test images"),
    ],
)
def test_recall_is_not_promised_for_new_images(verdict: str, says: str):
    answer = make_answer(results_with(verdict), "r")
    assert says in answer.expected
    assert answer.doubt == ""
    assert answer.caveats[-1] == "Few images."


def test_a_caveat_of_several_backbones_is_said_once_and_names_them():
    results = results_with()
    names = display_names(results.backbones)
    told = "it may have seen them: it is a local file, and its data is unknown. Beware."
    said = "For each of the 3 backbones: It may have seen them: it is a local file, and its data is unknown. Beware."
    assert tuple(merge_caveats(results, names).values()) == (said, "Few images.")
    two = replace(results, decision=replace(results.decision, caveats=results.decision.caveats[1:]))
    first, second = (names[r.name] for r in results.backbones[1:])
    assert next(iter(merge_caveats(two, names).values())) == f"For each of {first} and {second}: I{told[1:]}"
    one = replace(results, decision=replace(results.decision, caveats=results.decision.caveats[2:]))
    assert next(iter(merge_caveats(one, names).values())) == f"{second}: I{told[1:]}"


def test_the_figures_of_untuned_classifiers_are_left_to_the_details():
    results = results_with()
    first = results.backbones[0]
    untuned = UntunedAccuracy(
        label_set="imagenet-1k",
        matched_by="names",
        classes=3,
        accuracy=wilson(2, 10),
        unrestricted=wilson(1, 10),
        tuned=wilson(9, 10),
    )
    figures = f"Its classifier is right for {say_rate(untuned.accuracy)} of them."
    sentence = f"{first.contamination.sentence} {figures}"
    first = replace(first, contamination=replace(first.contamination, untuned=untuned, sentence=sentence))
    decision = replace(results.decision, caveats=(sentence, *results.decision.caveats[1:]))
    results = replace(results, backbones=(first, *results.backbones[1:]), decision=decision)
    merged = tuple(merge_caveats(results, display_names(results.backbones)).values())
    assert merged[0].startswith("For each of the 3 backbones: ")
    assert len(merged) == 2
    assert figures not in " ".join(merged)
    assert say_untuned(first) == figures
    assert say_untuned(results.backbones[1]) == ""


def test_the_doubt_is_the_first_sentence_and_nothing_after_it_is_lost():
    answer = make_answer(results_with(), "r")
    assert answer.doubt.endswith("its data is unknown.")
    assert answer.caveats == ("Beware.", "Few images.")


def test_what_is_known_of_the_data_is_no_doubt_while_there_is_another():
    results, _ = make_run(CLASSES, warnings=["Two images are copies."])
    results = replace(results, decision=replace(results.decision, caveats=("Two images are copies.", "Few images.")))
    answer = make_answer(results, "r")
    assert answer.doubt == "Few images."
    assert answer.caveats == ("Two images are copies.",)
    alone = replace(results, decision=replace(results.decision, caveats=("Two images are copies.",)))
    assert make_answer(alone, "r").doubt == "Two images are copies."
    nothing = replace(results, decision=replace(results.decision, caveats=()))
    assert make_answer(nothing, "r").doubt == ""


def test_the_licence_of_an_unknown_file_is_not_that_of_the_published_weights():
    results, _ = make_run(CLASSES)
    known = rows(make_answer(results, "r"))["Cost"]
    local = tuple(replace(r, card=of_local_file(r.card, "0" * 64)) for r in results.backbones)
    assert known.endswith("Apache-2.0")
    assert rows(make_answer(replace(results, backbones=local), "r"))["Cost"].endswith("licence unknown")


def test_the_next_commands_can_be_typed():
    results, _ = make_run(CLASSES)
    plain = replace(results, data=replace(results.data, duplicates={}), command="vitrail bench 'my images' -b x")
    assert make_answer(plain, "my run").next_steps == (
        NextStep(purpose="classify new images", command="vitrail predict 'my run' IMAGE"),
    )
    copies = replace(plain, data=replace(plain.data, duplicates={"near_pairs": 1}))
    assert make_answer(copies, "r").next_steps[1].command == "vitrail audit 'my images' --run r"
    boxes = replace(copies, command="vitrail bench dogs --crop-to-boxes -b x")
    assert make_answer(boxes, "r").next_steps[1].command == "vitrail audit dataset:stanford-dogs:boxes --run r"
    unknown = replace(copies, command="vitrail bench -b x 'my images'")
    assert make_answer(unknown, "r").next_steps[1].command == "vitrail audit DATA --run r"


def test_a_single_backbone_has_nothing_to_be_better_than():
    results, _ = make_run(CLASSES, backbones=1)
    assert "Why" not in rows(make_answer(results, "r"))
    assert rows(make_answer(results, "r"))["Trust"] == "the only backbone"
