"""How many bytes of files and of pixels are in memory at once, over all threads of this process.

Threads that read and decode ahead of a network multiply what one image takes, and a small file may hold a large image.
So a thread takes its bytes here before it reads or decodes, waits while others hold too many, and gives them back when
it is done with the item. Memory belongs to the process, so the budgets do too.

A thread takes file bytes before pixel bytes, and one that holds some of a budget takes more of it without waiting.
So threads never wait for each other in a circle.
"""

import threading

from vitrail.core.machine import return_freed_memory

LARGE_ITEM = 50_000_000  # bytes from which on a thread's memory is given back to the system at once
MOST_FILE_BYTES = 200_000_000
MOST_PIXEL_BYTES = 800_000_000  # 100 megapixels of RGBA, as stored and as RGB


class ByteBudget:
    """Bytes that threads share. An item over the whole budget is alone in it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._used = 0
        self._changed = threading.Condition()
        self._thread = threading.local()

    def take(self, size: int) -> None:
        """Take bytes for this thread until its scope ends; wait while they do not fit beside those of other threads.

        Outside of a scope nothing would give them back, so nothing is taken.
        """
        mine = self._held_here()
        if mine is None:
            return
        with self._changed:
            while self._used and not mine and self._used + size > self.most:
                self._changed.wait()
            self._used += size
        self._thread.bytes = mine + size

    def scope(self) -> "Scope":
        """Give back at the end what this thread takes inside."""
        return Scope(self)

    def enter(self) -> int | None:
        """Begin a scope of this thread; what it held in the scope around it, or None if there is none."""
        before = self._held_here()
        self._thread.bytes = before or 0
        return before

    def leave(self, before: int | None) -> None:
        """End the scope that began with these bytes."""
        taken = self._thread.bytes - (before or 0)
        self._thread.bytes = before
        if taken >= LARGE_ITEM:
            return_freed_memory()
        if taken:
            with self._changed:
                self._used -= taken
                self._changed.notify_all()

    def _held_here(self) -> int | None:
        """The bytes of this thread; None outside of a scope."""
        return getattr(self._thread, "bytes", None)


class Scope:
    """Gives back what a thread takes inside; a class, since a generator costs each small file some microseconds."""

    __slots__ = ("_before", "_budgets")

    def __init__(self, *budgets: ByteBudget) -> None:
        self._budgets = budgets
        self._before: list[int | None] = []

    def __enter__(self) -> None:
        self._before = [budget.enter() for budget in self._budgets]

    def __exit__(self, *_: object) -> None:
        for budget, before in zip(self._budgets, self._before, strict=True):
            budget.leave(before)


FILES = ByteBudget(MOST_FILE_BYTES)
PIXELS = ByteBudget(MOST_PIXEL_BYTES)


def one_item() -> Scope:
    """Hold the bytes of a file, and of the pixels decoded from it, while a thread works on it."""
    return Scope(FILES, PIXELS)
