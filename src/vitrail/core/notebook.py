"""Progress as Python shows it: bars in a terminal, in a notebook one small table that is updated in place.

The table is drawn by IPython alone: rich's bars need ipywidgets there.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from html import escape
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from vitrail.core.clock import Clock
from vitrail.core.console import PrintableConsole
from vitrail.core.drawing import Drawing, Undrawn, say_left
from vitrail.core.printable import LAYOUT, make_printable
from vitrail.core.progress import Phase, Progress

EVERY_S = 0.25  # a page that is sent more often is not read more often


@contextmanager
def follow(progress: bool | Progress) -> Iterator[Progress]:
    """What a function of Python works under.

    Yields:
        Progress: the one that was given. For True bars in a terminal or a notebook, elsewhere silence; for False
            silence.
    """
    if not isinstance(progress, bool):
        yield progress
        return
    console = PrintableConsole(stderr=True)
    drawing: AbstractContextManager[Progress] = Undrawn()
    if progress and in_notebook():
        drawing = NotebookDrawing()
    elif progress and console.is_terminal:
        drawing = Drawing(console)
    with drawing as shown:
        yield shown


def in_notebook() -> bool:
    """Whether a kernel of Jupyter runs this process, as in notebooks; false in a terminal's IPython."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


@dataclass(slots=True)
class _Bar:
    task: str
    total: int | None
    unit: str
    begun: float
    ended: float | None = None
    completed: int = 0

    def draw(self) -> str:
        """One row: the task, a bar, how many, how fast."""
        total = self.completed if self.total is None and self.ended else self.total
        spent = (self.ended or time.monotonic()) - self.begun
        rate = f"{self.completed / spent:,.1f} {escape(self.unit)}/s" if spent > 0 and self.completed else ""
        count = f"{self.completed:,}" if total is None else f"{self.completed:,} of {total:,}"
        bar = "<progress></progress>" if total is None else f"<progress value={self.completed} max={total}></progress>"
        return f"<tr><td>{escape(self.task)}</td><td>{bar}</td><td>{count}</td><td>{rate}</td></tr>"


class NotebookDrawing:
    """A `Progress` that draws below the cell; used as a context manager, it leaves the finished bars there."""

    def __init__(self) -> None:
        self._clock = Clock()
        self._bars: list[_Bar] = []
        self._latest: dict[str, _Bar] = {}  # by task: a name may come again
        self._notes: list[str] = []
        self._lock = threading.Lock()  # tasks advance from many threads
        self._drawn = 0.0
        self._handle: Any = None

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._handle = import_module("IPython.display").DisplayHandle()
        self._handle.display({"text/html": "", "text/plain": ""}, raw=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Draw the last state, also when the work failed."""
        self._draw()

    def start(self, task: str, *, total: int | None, unit: str) -> None:
        """A new bar."""
        self._clock.start(task, total=total, unit=unit)
        with self._lock:
            self._latest[task] = _Bar(make_printable(task), total, unit, time.monotonic())
            self._bars.append(self._latest[task])
        self._draw()

    def advance(self, task: str, amount: int = 1) -> None:
        """The bar grows, drawn some times a second."""
        self._clock.advance(task, amount)
        with self._lock:
            self._latest[task].completed += amount
            due = time.monotonic() - self._drawn >= EVERY_S
        if due:
            self._draw()

    def note(self, message: str) -> None:
        """A line above the bars."""
        with self._lock:
            self._notes.append(make_printable(message, layout=LAYOUT))
        self._draw()

    def done(self, task: str) -> None:
        """The bar is full, also where the total was not known."""
        self._clock.done(task)
        self._end(task, full=True)

    def stop(self, task: str) -> None:
        """The bar stays as it is."""
        self._clock.stop(task)
        self._end(task, full=False)

    def expect(self, phase: Phase, times: int) -> None:
        """From now on the line on the whole run is shown."""
        self._clock.expect(phase, times)

    def enter(self, phase: Phase) -> None:
        """Time it, for the line on the whole run."""
        self._clock.enter(phase)

    def leave(self) -> None:
        """Time it."""
        self._clock.leave()

    def _end(self, task: str, *, full: bool) -> None:
        with self._lock:
            bar = self._latest[task]
            bar.ended = time.monotonic()
            if full:
                bar.total = bar.completed
        self._draw()

    def _draw(self) -> None:
        with self._lock:
            self._drawn = time.monotonic()
            notes = "".join(f"<div>{escape(note)}</div>" for note in self._notes)
            rows = "".join(bar.draw() for bar in self._bars)
            left = self._clock.left()
            whole = "" if left is None else f"<div>{escape(say_left(self._clock.wall_s, left))}</div>"
            page = f"{notes}<table>{rows}</table>{whole}" if rows else notes
            text = "\n".join(self._notes) or "Progress"
            self._handle.update({"text/html": page, "text/plain": text}, raw=True)
