"""What a person reads last on the terminal: the answer on the last screen, at any width, and the rest before it."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.delivery.examples import make_run
from vitrail.cli.closing import print_closing
from vitrail.data import SetAside
from vitrail.runs import Results, RunRecord
from vitrail.statistics.intervals import wilson

FIGURE = r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]"
LINES = 23  # of a screen of 24, with one for the prompt
CLASSES = ["a", "b", "c"]


def closing(
    width: int = 80,
    *,
    backbones: int = 2,
    details: bool = False,
    change: Callable[[Results], Results] = lambda results: results,
) -> str:
    results, _ = make_run(CLASSES, backbones=backbones)
    page = io.StringIO()
    run = RunRecord(folder=Path("runs/chiens-1234abcd"), results=change(results))
    print_closing(run, Console(file=page, width=width), details=details)
    return page.getvalue()


def with_costs(images_per_s: float) -> Callable[[Results], Results]:
    def change(results: Results) -> Results:
        backbones = tuple(replace(r, cost=replace(r.cost, images_per_s=images_per_s)) for r in results.backbones)
        return replace(results, backbones=backbones)

    return change


def with_verdict(verdict: str) -> Callable[[Results], Results]:
    """A run whose first backbone has this verdict of contamination."""

    def change(results: Results) -> Results:
        first, *others = results.backbones
        first = replace(first, contamination=replace(first.contamination, verdict=verdict, share=1.0))
        return replace(results, backbones=(first, *others))

    return change


def test_answer_and_table_of_four_backbones_are_the_last_screen():
    shown = closing(backbones=4).splitlines()
    screen = shown[-LINES:]
    assert any("Backbone" in line and "Accuracy % [95%]" in line for line in screen)
    assert sum(line.startswith("─") for line in screen) == 2
    assert screen[-1] == "─" * 80
    labels = [line.split()[0] for line in screen if re.match(r"[A-Z]\w+  +\S", line)]
    assert labels[-7:] == ["Expect", "Trust", "Why", "But", "Cost", "Next", "Report"]


@pytest.mark.parametrize("width", [50, 80, 120])
def test_no_line_is_longer_than_the_terminal_and_no_name_is_cut(width: int):
    shown = closing(width, backbones=4)
    broken_by_us = [line for line in shown.splitlines() if "vitrail" not in line and "report.html" not in line]
    assert max(map(len, broken_by_us)) <= width
    assert "deit_small_patch16_224.fb_in1k" in shown
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    for name in ("ViT-S/16 AugReg", "ResNet50 TV", "ViT-Ti/16 AugReg", "DeiT-S/16"):
        assert any(line[2:].startswith(f"{name}  ") for line in shown.splitlines())


def test_the_full_name_of_each_backbone_can_be_copied_once():
    shown = closing(backbones=4)
    assert "\nViT-S/16 AugReg   vit_small_patch16_224.augreg_in21k_ft_in1k\n" in shown
    assert shown.count("resnet50.tv_in1k") == 1


def test_the_pick_is_marked_without_colours_and_the_best_comes_first():
    lines = closing(backbones=4).splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("  Backbone"))
    table = lines[start + 1 : start + 5]
    rates = [float(re.findall(r"(\d+\.\d) \[", line)[0]) for line in table]
    assert rates == sorted(rates, reverse=True)
    assert sum(line.startswith("> ") for line in table) == 1


def test_commands_and_paths_are_not_broken():
    shown = closing(50)
    assert "Next    vitrail predict runs/chiens-1234abcd IMAGE\n" in shown
    assert "Report  runs/chiens-1234abcd/report.html\n" in shown


def test_a_figure_of_recall_has_a_mark_and_a_legend():
    shown = closing(change=with_verdict("seen"))
    assert re.search(r"ViT-S/16 AugReg +\d+\.\d \[\d+\.\d, \d+\.\d\] a ", shown)
    assert "\na saw the test images: on new images expect less\n" in shown
    assert "expect less" not in closing()


def test_near_duplicates_of_train_are_marked_beside_the_heading():
    def leak(results: Results) -> Results:
        backbones = tuple(replace(r, top1_without_leaked=wilson(40, 50)) for r in results.backbones)
        return replace(results, backbones=backbones, data=replace(results.data, leaked=("1", "2")))

    shown = closing(change=leak)
    assert "Accuracy % [95%] a" in shown
    assert "\na 2 test images have copies in train or val; pick without: 80.0 [67.0, 88.8]\n" in shown


def test_repeated_openings_are_marked_beside_the_heading():
    shown = closing(change=lambda results: replace(results, split=replace(results.split, test_openings=3)))
    assert "Accuracy % [95%] a" in shown
    assert re.search(r"\na .*3", shown)


@pytest.mark.parametrize(("rate", "took"), [(8.13, "123"), (250.0, "4.0")])
def test_milliseconds_are_said_as_the_report_says_them(rate: float, took: str):
    said = closing(details=True, change=with_costs(rate))
    assert "e+" not in said
    assert len(re.findall(rf"(?<![\d.,]){re.escape(took)}(?![\d.,])", said)) >= 4


def test_what_was_not_done_in_a_search_is_said_once_with_its_backbones():
    def note(results: Results, count: int) -> Results:
        noted = [replace(r, search=replace(r.search, notes=("No [seeds] were tried.",))) for r in results.backbones]
        return replace(results, backbones=(*noted[:count], *results.backbones[count:]))

    assert closing(change=lambda results: note(results, 2)).count("! No [seeds] were tried.") == 1
    assert "! ViT-S/16 AugReg: No [seeds] were tried." in closing(change=lambda results: note(results, 1))


def test_details_fold_away():
    def set_aside(results: Results) -> Results:
        aside = tuple(SetAside(path=f"{i}.png", reason="not an image") for i in range(12))
        return replace(results, data=replace(results.data, set_aside=aside))

    short, full = closing(change=set_aside), closing(details=True, change=set_aside)
    assert "12 files set aside. The same command with --details" in " ".join(short.split())
    hidden = (
        "Where the time went",
        "NLL",
        "over 3 other splits",
        "0.png",
        "were decoded in full",
        "compared with fp32",
    )
    for part in hidden:
        assert part in full
        assert part not in short
    assert full.endswith(short.split("Took")[1].split("\n\n", 1)[1])


def test_details_have_every_figure_with_its_interval_the_calibration_error_too():
    said = closing(details=True)
    assert len(re.findall(rf"{FIGURE} \(\d\.\d{{3}}\)", said)) == 2
    assert len(re.findall(FIGURE, said)) == 4


def test_details_say_where_the_time_went_longest_part_first():
    said = closing(details=True)
    where = said[said.index("Where the time went (3 min 32 s)") :]
    seconds = [line.split()[0] for line in where.splitlines()[1:7]]
    assert seconds == ["2", "61", "21", "5.1", "3.5", "1.2"]
    assert "run through the networks, at the same time" in where
    assert (
        "images were decoded in full; compared with a fraction of their size on 64 large JPEGs: 1 answer changed"
        in said
    )


def test_names_that_a_terminal_would_obey_are_written_out_and_the_table_stays_aligned():
    """As in the results of a stranger: names of our own runs have no such characters."""

    def rename(results: Results) -> Results:
        hostile = "\x1b[2Jnet\u202e"
        first, *others = results.backbones
        old = first.name
        first = replace(first, name=hostile, card=replace(first.card, licence="free\x07\nTake the other"))
        aside = (SetAside(path="a\rb.png", reason="odd\x9b"),)
        data = replace(results.data, name="set\x1b]0;owned\x07", set_aside=aside)
        chosen = hostile if results.decision.choose == old else results.decision.choose
        decision = replace(results.decision, choose=chosen)
        return replace(results, backbones=(first, *others), decision=decision, data=data)

    for details in (False, True):
        shown = closing(change=rename, details=details)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
        assert r"\x1b[2Jnet\u202e" in shown
        assert not any(line.startswith("Take the other") for line in shown.splitlines())
        heading, hostile, plain = shown[shown.index("  Backbone") :].splitlines()[:3]
        assert hostile.index("[", hostile.index("u202e")) == plain.index("[")
        assert len(hostile) == len(plain) == len(heading)
