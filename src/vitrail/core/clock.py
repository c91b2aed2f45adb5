"""The clock of a run: where its time went, phase by phase, and how much of it is left.

No choice depends on it: it is shown, and stored with the results.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from vitrail.core.machine import user_seconds
from vitrail.core.progress import Phase, Progress, Silent

ORDER: tuple[Phase, ...] = get_args(Phase)
LEAST_S = 1.0  # a task that has run for less says nothing of its rate


@dataclass(frozen=True, slots=True)
class Left:
    """The time left of the phases that can be estimated, in seconds, and the phases that cannot be yet."""

    seconds: float
    unknown: tuple[Phase, ...]


@dataclass(slots=True)
class _Task:
    begun: float
    total: int | None
    done: int = 0


class Clock:
    """A progress that times phases and passes everything on to another progress.

    Phases are timed by the wall, so they add up to the whole with what lies between them. A phase that begins within
    another counts as part of it.
    """

    def __init__(self, progress: Progress | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._progress: Progress = progress or Silent()
        self._now = now
        self._begun, self._begun_user = now(), user_seconds()
        self._lock = threading.Lock()  # tasks advance from many threads
        self._tasks: dict[str, _Task] = {}
        self._noted: set[str] = set()
        self._expected: dict[Phase, int] = {}
        self._spent: defaultdict[Phase, float] = defaultdict(float)
        self._times: Counter[Phase] = Counter()  # how often each phase has ended
        self._depth = 0
        self._phase: Phase | None = None
        self._entered = self._begun

    def start(self, task: str, *, total: int | None, unit: str) -> None:
        """Pass it on, and time the task."""
        with self._lock:
            self._tasks[task] = _Task(self._now(), total)
        self._progress.start(task, total=total, unit=unit)

    def advance(self, task: str, amount: int = 1) -> None:
        """Pass it on, and count it."""
        with self._lock:
            if task in self._tasks:
                self._tasks[task].done += amount
        self._progress.advance(task, amount)

    def note(self, message: str) -> None:
        """Pass it on, unless the same was noted before: parts of a run that open the same files note the same."""
        with self._lock:
            known = message in self._noted
            self._noted.add(message)
        if not known:
            self._progress.note(message)

    def done(self, task: str) -> None:
        """Pass it on."""
        with self._lock:
            self._tasks.pop(task, None)
        self._progress.done(task)

    def stop(self, task: str) -> None:
        """Pass it on."""
        with self._lock:
            self._tasks.pop(task, None)
        self._progress.stop(task)

    def expect(self, phase: Phase, times: int) -> None:
        """Pass it on; the time left is then that of every phase that was announced."""
        self._expected[phase] = times
        self._progress.expect(phase, times)

    def enter(self, phase: Phase) -> None:
        """Pass it on, and time the phase unless it begins within another."""
        if self._depth == 0:
            self._phase, self._entered = phase, self._now()
        self._depth += 1
        self._progress.enter(phase)

    def leave(self) -> None:
        """Pass it on."""
        self._depth -= 1
        if self._depth == 0 and self._phase is not None:
            self._spent[self._phase] += self._now() - self._entered
            self._times[self._phase] += 1
            self._phase = None
        self._progress.leave()

    @property
    def wall_s(self) -> float:
        """Seconds of the wall since the clock was started."""
        return self._now() - self._begun

    @property
    def user_s(self) -> float:
        """Seconds of CPU in user mode since then, of all threads."""
        return user_seconds() - self._begun_user

    def parts(self) -> dict[Phase, float]:
        """Seconds of each phase that has ended, in their order."""
        return {phase: self._spent[phase] for phase in ORDER if self._times[phase]}

    def left(self) -> Left | None:
        """How long the announced phases that are not over will take; None if no phase was announced.

        The features take the time that their rate so far implies; a phase that runs once per backbone takes its average
        time for the earlier backbones. A phase without such a basis is named instead of a figure.
        """
        if not self._expected:
            return None
        seconds, unknown = 0.0, []
        for phase, times in list(self._expected.items()):
            remaining = self._left_of(phase, times)
            if remaining is None:
                unknown.append(phase)
            else:
                seconds += remaining
        return Left(seconds, tuple(unknown))

    def _left_of(self, phase: Phase, times: int) -> float | None:
        ended = self._times[phase]
        current = self._phase == phase
        to_come = times - ended
        if to_come <= 0 and not current:
            return 0.0
        if phase == "features":
            return self._left_of_tasks() if current else 0.0 if self._has_passed(phase) else None
        if not ended:
            return None
        each = self._spent[phase] / ended
        return max(0.0, to_come * each - (self._now() - self._entered if current else 0.0))

    def _left_of_tasks(self) -> float | None:
        """The longest of the tasks that run, at their rates so far: those of one phase run side by side."""
        with self._lock:
            tasks = [(self._now() - task.begun, task.total, task.done) for task in self._tasks.values()]
        if not tasks or any(total is None or not done or spent < LEAST_S for spent, total, done in tasks):
            return None
        return max(spent * ((total or 0) - done) / done for spent, total, done in tasks)

    def _has_passed(self, phase: Phase) -> bool:
        """Whether a later phase has begun: features that are all stored have no phase."""
        later = ORDER[ORDER.index(phase) + 1 :]
        return self._phase in later or any(self._times[name] for name in later)
