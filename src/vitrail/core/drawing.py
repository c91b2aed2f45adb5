"""Progress drawn on the terminal with Rich: for each task a bar, how many, how fast, how long still; the whole run."""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from vitrail.core.clock import Clock, Left
from vitrail.core.console import PrintableConsole
from vitrail.core.printable import make_printable
from vitrail.core.progress import Phase, Progress, Silent
from vitrail.core.threads import require_room


class RateColumn(ProgressColumn):
    """Units a second, over the whole of the task so far."""

    def render(self, task: Task) -> Text:
        """The rate as text, or nothing before the first unit."""
        speed = task.finished_speed or task.speed
        if speed is None:
            return Text("")
        return Text(f"{speed:,.0f} {task.fields['unit']}/s" if speed >= 10 else f"{speed:.1f} {task.fields['unit']}/s")


class _Bars(RichProgress):
    """The bars of all tasks, and below them a line on the whole run."""

    def __init__(self, *columns: ProgressColumn, clock: Clock, console: PrintableConsole) -> None:
        self._clock = clock
        # Rich would print on stderr what a command prints on stdout meanwhile.
        super().__init__(*columns, console=console, expand=True, redirect_stdout=False)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, and the line if it is known what is to come."""
        yield from super().get_renderables()
        left = self._clock.left()
        if left is not None:
            yield Text(say_left(self._clock.wall_s, left), style="dim", no_wrap=True, overflow="ellipsis")


def say_left(wall_s: float, left: Left) -> str:
    """How long the run has taken and will still take; a phase without an estimate is named."""
    line = f"Whole run {_minutes(wall_s)}"
    if left.seconds:
        line += f", {'at least' if left.unknown else 'about'} {_minutes(left.seconds)} left"
    if left.unknown:
        line += f"; no estimate yet for {', '.join(left.unknown)}"
    return line


def _minutes(seconds: float) -> str:
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"


class Drawing:
    """A `Progress` that draws on stderr; used as a context manager, it leaves the finished bars on screen."""

    def __init__(self, console: PrintableConsole) -> None:
        self._tasks: dict[str, TaskID] = {}
        self._clock = Clock()
        self._bars = _Bars(
            # A narrow terminal cuts the name of the task, never the figures.
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=16),
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=9)),
            RateColumn(table_column=Column(no_wrap=True, min_width=8)),
            TimeRemainingColumn(
                compact=True, elapsed_when_finished=True, table_column=Column(no_wrap=True, min_width=5)
            ),
            clock=self._clock,
            console=console,
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        require_room(1)  # for rich's thread
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing, also when the work failed."""
        self._bars.stop()

    def start(self, task: str, *, total: int | None, unit: str) -> None:
        """A new bar."""
        self._clock.start(task, total=total, unit=unit)
        self._tasks[task] = self._bars.add_task(escape(make_printable(task)), total=total, unit=unit)

    def advance(self, task: str, amount: int = 1) -> None:
        """The bar grows."""
        self._clock.advance(task, amount)
        self._bars.advance(self._tasks[task], amount)

    def note(self, message: str) -> None:
        """A line above the bars."""
        self._bars.console.print(escape(message), highlight=False)

    def done(self, task: str) -> None:
        """The bar is full, also where the total was not known."""
        self._clock.done(task)
        bar = self._tasks[task]
        completed = self._bars.tasks[self._bars.task_ids.index(bar)].completed
        self._bars.update(bar, total=completed, completed=completed)

    def stop(self, task: str) -> None:
        """The bar stays as it is: it says how far the task came, of what total."""
        self._bars.stop_task(self._tasks[task])

    def expect(self, phase: Phase, times: int) -> None:
        """From now on the line on the whole run is shown."""
        self._clock.expect(phase, times)

    def enter(self, phase: Phase) -> None:
        """Time it, for the line on the whole run."""
        self._clock.enter(phase)

    def leave(self) -> None:
        """Time it."""
        self._clock.leave()


class Undrawn:
    """What `--quiet` shows: nothing."""

    def __enter__(self) -> Progress:
        """Nothing to begin."""
        return Silent()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to end."""


def watch(*, quiet: bool) -> Drawing | Undrawn:
    """What a verb works under: bars on stderr, or silence."""
    return Undrawn() if quiet else Drawing(PrintableConsole(stderr=True))
