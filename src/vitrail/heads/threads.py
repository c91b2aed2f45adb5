"""Many fits at once, a thread each: threads that share a small operation wait for each other longer than they work."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Done = TypeVar("Done")


def a_thread_each(work: Callable[[Item], Done], items: Iterable[Item]) -> list[Done]:
    """Do some work on each item, on as many threads as torch has here, in each of which it has one.

    So what is computed does not depend on how many threads there are.

    Args:
        work: may call this again.
        items: what it is done on.

    Returns:
        The outcomes in order; what `work` raises is raised here.
    """
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="fit", initializer=_alone)
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # torch gives threads that are made later what was last set


def _alone() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # squares of gradients fall below 1e-38, where some processors are 50 times as slow
