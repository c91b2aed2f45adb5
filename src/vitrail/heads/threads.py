"""Fits side by side: threads that share one small operation wait for each other longer than they work."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

FITS_AT_ONCE = 4  # each has the features scaled anew, and memory must not grow with the cores

Item = TypeVar("Item")
Done = TypeVar("Done")


def side_by_side(work: Callable[[Item], Done], items: Iterable[Item], *, at_once: int = FITS_AT_ONCE) -> list[Done]:
    """Do some work on each item, several at once; the threads that torch has here are shared out evenly.

    Args:
        work: may call this again.
        items: what it is done on.
        at_once: on how many items at most; with as many as there are threads, each has one, and what is computed does
            not depend on how many there are.

    Returns:
        The outcomes in order; what `work` raises is raised here.
    """
    threads = torch.get_num_threads()
    workers = min(at_once, threads)
    pool = ThreadPoolExecutor(workers, "fit", initializer=_have, initargs=(threads // workers,))
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # torch gives threads that are made later what was last set


def _have(threads: int) -> None:
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # squares of gradients fall below 1e-38, and products with such numbers crawl
