"""Fits in parallel, since threads that share one small operation wait for each other longer than they work."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch

from vitrail.core.threads import ThreadPool

FITS_AT_ONCE = 4  # each has its own copy of scaled features, and memory must not grow with the cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item], *, at_once: int = FITS_AT_ONCE) -> list[Result]:
    """The results of `work` on each item, in order; several items at once, with an even share of torch's threads each.

    Exceptions of `work` are raised here. It may call this function again.

    Args:
        at_once: the most items at once; if this is the number of threads, each item has one thread, and the results do
            not depend on that number.
    """
    threads = torch.get_num_threads()
    workers = min(at_once, threads)
    pool = ThreadPool(workers, "fit", initializer=_set_threads, initargs=(threads // workers,))
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # torch gives later threads the number that was set last


def _set_threads(threads: int) -> None:
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # squares of gradients fall below 1e-38, and products with such numbers crawl
