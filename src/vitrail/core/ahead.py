"""Work that threads do ahead of its reader, in order and within bounds."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")


def in_order(pool: Executor, work: Callable[[Item], Done], items: Iterable[Item], *, ahead: int) -> Iterator[Done]:
    """Do work on items in threads, which are never more than `ahead` items further than the reader.

    Yields:
        Done: the result for each item, in order; what `work` raises is raised in its place.
    """
    waiting: deque[Future[Done]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
