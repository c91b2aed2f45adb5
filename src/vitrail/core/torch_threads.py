"""How many threads PyTorch computes with. Apart from `machine.py`, so that what needs no torch never leads to it."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """PyTorch computes with this many threads inside; on its own it knows the affinity but not the cgroup's quota."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
