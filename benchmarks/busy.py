"""Other work on the machine: a process that computes without end on each core."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOOP = "while True: sum(i * i for i in range(10_000))"


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """So many busy processes while the block runs."""
    processes = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
