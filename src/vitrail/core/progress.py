"""How the library reports progress. The command line draws it; tests record it; a clock times it (`clock.py`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

# The parts of a run, as they are listed. One follows another; a phase that begins inside another is part of it.
# Near-duplicates come before the features for a race, for int8 and on a cluster, and after them otherwise.
Phase = Literal[
    "reading",
    "near-duplicates",
    "race",
    "starting networks",
    "features",
    "search",
    "refits",
    "checks",
    "verdict",
    "page",
]
FOR_EACH_BACKBONE: tuple[Phase, ...] = ("search", "refits", "checks")


class Progress(Protocol):
    """Receives the progress of named tasks, from any thread, and of the phases of a run, from its main thread."""

    def start(self, task: str, *, total: int | None, unit: str) -> None:
        """A task begins; `total` is None if its size is not known yet."""

    def advance(self, task: str, amount: int = 1) -> None:
        """`amount` more units of the task are done."""

    def note(self, message: str) -> None:
        """One line for the user to read during the work."""

    def done(self, task: str) -> None:
        """The task has ended."""

    def stop(self, task: str) -> None:
        """The task was stopped by an error or by the user before its end."""

    def expect(self, phase: Phase, times: int) -> None:
        """The run will go through a phase so often, once for each backbone for example."""

    def enter(self, phase: Phase) -> None:
        """A phase begins."""

    def leave(self) -> None:
        """The phase that began last has ended."""


class Silent:
    """Progress that nobody watches."""

    def start(self, task: str, *, total: int | None, unit: str) -> None:
        """Ignore it."""

    def advance(self, task: str, amount: int = 1) -> None:
        """Ignore it."""

    def note(self, message: str) -> None:
        """Ignore it."""

    def done(self, task: str) -> None:
        """Ignore it."""

    def stop(self, task: str) -> None:
        """Ignore it."""

    def expect(self, phase: Phase, times: int) -> None:
        """Ignore it."""

    def enter(self, phase: Phase) -> None:
        """Ignore it."""

    def leave(self) -> None:
        """Ignore it."""


@contextmanager
def running(progress: Progress, task: str, *, total: int | None, unit: str) -> Iterator[None]:
    """Start a task that is done when the block ends, and stopped if the block fails."""
    progress.start(task, total=total, unit=unit)
    try:
        yield
    except BaseException:
        progress.stop(task)
        raise
    progress.done(task)


@contextmanager
def phase(progress: Progress, name: Phase) -> Iterator[None]:
    """Enter a phase that ends with the block, however it ends."""
    progress.enter(name)
    try:
        yield
    finally:
        progress.leave()
