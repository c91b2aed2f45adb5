import io

import pytest
from rich.console import Console

from vitrail.cli.drawing import Drawing, say_left
from vitrail.core.clock import Left
from vitrail.core.progress import phase, running


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
