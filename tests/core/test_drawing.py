import io

import pytest
from rich.console import Console

from vitrail.core.clock import Left
from vitrail.core.drawing import Drawing, say_left
from vitrail.core.progress import phase, running


def draw(*, total: int | None, done: int, interrupt: bool) -> str:
    """What is left on the screen of a task."""
    screen = io.StringIO()
    with Drawing(Console(file=screen, width=100, force_terminal=True)) as progress:
        try:
            with running(progress, "Heads", total=total, unit="heads"):
                progress.advance("Heads", done)
                if interrupt:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
    return screen.getvalue().rpartition("Heads")[2]


@pytest.mark.parametrize(
    ("total", "done", "interrupt", "shown"),
    [
        (40, 0, True, "0/40"),
        (40, 12, True, "12/40"),
        (None, 12, True, "12/?"),
        (40, 12, False, "12/12"),
        (None, 12, False, "12/12"),
    ],
)
def test_an_interrupted_task_keeps_its_total_and_one_that_ends_is_full(total, done, interrupt, shown):
    assert shown in draw(total=total, done=done, interrupt=interrupt)


@pytest.mark.parametrize(
    ("wall_s", "left", "line"),
    [
        (9.6, Left(0.0, ("features", "search")), "Whole run 0:10; no estimate yet for features, search"),
        (70, Left(19.2, ("search",)), "Whole run 1:10, at least 0:19 left; no estimate yet for search"),
        (3700, Left(65.0, ()), "Whole run 1:01:40, about 1:05 left"),
        (74, Left(0.0, ()), "Whole run 1:14"),
    ],
)
def test_the_time_left_is_said_with_what_is_not_in_it(wall_s: float, left: Left, line: str):
    assert say_left(wall_s, left) == line


def test_the_whole_run_is_shown_below_the_bars_once_it_is_known_what_comes():
    page = io.StringIO()
    with Drawing(Console(file=page, width=100)) as drawing:
        with running(drawing, "Reading files", total=1, unit="files"):
            drawing.advance("Reading files")
        shown_before = page.getvalue()
        drawing.expect("search", 1)
        with phase(drawing, "search"):
            pass
    assert "Whole run" not in shown_before
    assert page.getvalue().index("Reading files") < page.getvalue().index("Whole run")
