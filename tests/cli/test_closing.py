"""What a person reads last on the terminal, wide or narrow."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.delivery.examples import make_run
from vitrail.cli.closing import WIDE_ENOUGH, print_closing
from vitrail.runs import RunRecord

FIGURE = r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]"


def closing(width: int, *, images_per_s: float = 8.13) -> str:
    results, _ = make_run(["a", "b", "c"])
    backbones = tuple(replace(one, cost=replace(one.cost, images_per_s=images_per_s)) for one in results.backbones)
    page = io.StringIO()
    print_closing(
        RunRecord(folder=Path("run"), results=replace(results, backbones=backbones)), Console(file=page, width=width)
    )
    return page.getvalue()


@pytest.mark.parametrize("width", [80, WIDE_ENOUGH])
def test_every_figure_stands_with_its_interval_the_calibration_error_too(width: int) -> None:
    said = closing(width)
    assert len(re.findall(rf"{FIGURE} \(\d\.\d{{3}}\)", said)) == 2
    assert len(re.findall(FIGURE, said)) == 4
    assert "\N{HORIZONTAL ELLIPSIS}" not in said


@pytest.mark.parametrize("width", [80, WIDE_ENOUGH])
@pytest.mark.parametrize(("rate", "took"), [(8.13, "123"), (250.0, "4.0")])
def test_milliseconds_are_said_as_the_report_says_them(width: int, rate: float, took: str) -> None:
    said = closing(width, images_per_s=rate)
    assert "e+" not in said
    assert len(re.findall(rf"(?<![\d.,]){re.escape(took)}(?![\d.,])", said)) >= 2


@pytest.mark.parametrize("width", [80, WIDE_ENOUGH])
def test_what_was_not_done_in_a_search_is_said_once(width: int) -> None:
    results, _ = make_run(["a", "b", "c"])
    backbones = tuple(
        replace(one, search=replace(one.search, notes=("No [seeds] were tried.",))) for one in results.backbones
    )
    page = io.StringIO()
    run = RunRecord(folder=Path("run"), results=replace(results, backbones=backbones))
    print_closing(run, Console(file=page, width=width))
    assert page.getvalue().count("! No [seeds] were tried.") == 1


def test_the_closing_says_where_the_time_went_longest_part_first() -> None:
    said = closing(80)
    where = said[said.index("Where the time went (3 min 32 s)") :]
    seconds = [line.split()[0] for line in where.splitlines()[1:7]]
    assert seconds == ["2", "61", "21", "5.1", "3.5", "1.2"]
    assert "run through the networks, at the same time" in where


def test_how_images_were_decoded_and_why_is_said() -> None:
    assert (
        "images were decoded in full; compared with a fraction of their size on 64 large JPEGs: 1 answer changed"
        in closing(80)
    )
