"""Threads that start, or an error that says why not: what waits for a thread that never was would wait for ever."""

import mmap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor  # noqa: TID251 - the one place
from contextlib import contextmanager
from typing import Any, TypeVar

from vitrail.core.errors import MachineError

REFUSED = "start new thread"  # CPython's words; it has no class for this error
STACK_BYTES = 8 << 20  # of a thread, on Linux by default
SPARE_BYTES = 24 << 20  # for the first objects of a thread, and what other threads take meanwhile

Result = TypeVar("Result")


class ThreadPool(ThreadPoolExecutor):
    """A pool whose threads start or raise a MachineError; it starts one when work is submitted and none is idle."""

    def submit(self, work: Callable[..., Result], /, *arguments: Any, **options: Any) -> Future[Result]:
        """Have work done in a thread; raises MachineError if it cannot start."""
        if len(self._threads) == self._max_workers:  # all have started; checking costs 30 microseconds
            return super().submit(work, *arguments, **options)
        with _starting():
            return super().submit(work, *arguments, **options)


def start_thread(thread: threading.Thread) -> None:
    """Start a thread; raises MachineError if the system refuses."""
    with _starting():
        thread.start()


def require_room(threads: int) -> None:
    """Make sure that there is address space for more threads.

    A thread of Python that finds no memory for its first objects ends without a word, and whoever started it waits for
    ever (CPython's `Thread.start`). Threads of libraries end the process.

    Raises:
        MachineError: there is not.
    """
    try:
        mmap.mmap(-1, threads * STACK_BYTES + SPARE_BYTES).close()
    except (OSError, MemoryError) as error:
        raise MachineError(_say_refusal()) from error


@contextmanager
def _starting() -> Iterator[None]:
    require_room(1)
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and REFUSED not in str(error):
            raise
        raise MachineError(_say_refusal()) from error


def _say_refusal() -> str:
    return (
        f"The system lets this process start no thread beyond the {threading.active_count()} of Python's now. Raise "
        "its limit on memory, address space or processes (`ulimit -a` shows them), or use fewer threads (--threads 1)."
    )
