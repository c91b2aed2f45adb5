import io

import pytest
from rich.console import Console

from vitrail.cli.drawing import Drawing
from vitrail.core.progress import running


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
