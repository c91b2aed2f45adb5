"""Reading images in Parquet through the process that parses it, against parsing it in the same process.

    python -m benchmarks.parquet_process [--images 3000] [--repeats 5]

JPEGs of 500 x 375, 70 KB each, in row groups of 100, are read once in order and decoded, with one thread and with two.
Seconds of the clock: median, least and most.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from tests.data.pictures import encoded

from benchmarks.results import machine_line, write_results
from vitrail.data.images import decode
from vitrail.data.sources.parquet import ParquetSource
from vitrail.data.sources.parquet_files import ParquetFiles
from vitrail.data.sources.parquet_process import PROCESS
from vitrail.data.sources.ranges import FileRanges

NAME = "x.parquet"
Read = Callable[[int], bytes]


def main() -> None:
    """Measure both, alternating, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    seconds: dict[tuple[str, int, str], list[float]] = {}
    starts = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        write_images(path, given.images)
        for _ in range(given.repeats):
            PROCESS._stop()
            begun = time.perf_counter()
            ParquetSource({NAME: lambda: FileRanges(path)}, NAME).holds_images()
            starts.append(time.perf_counter() - begun)
            for task in ("read", "read and decode"):
                for threads in (1, 2):
                    for place, read in (("another", through_process(path)), ("the same", in_this_process(path))):
                        spent = read_all(read, given.images, threads, decoded=task != "read")
                        seconds.setdefault((task, threads, place), []).append(spent)
    command = f"    python -m benchmarks.parquet_process --images {given.images} --repeats {given.repeats}"
    lines = [(__doc__ or "").splitlines()[0], "", command, "", machine_line(), ""]
    lines += ["| task | threads | parsed in | seconds | images/s |", "| --- | --- | --- | --- | --- |"]
    for (task, threads, place), times in seconds.items():
        rate = given.images / statistics.median(times)
        lines.append(f"| {task} | {threads} | {place} process | {spread(times)} | {rate:,.0f} |")
    lines += ["", f"{given.images:,} images. Start of the process and first answer: {spread(starts)} s."]
    lines += ["Other work ran on the machine."]
    write_results("parquet_process", lines)


def spread(times: list[float]) -> str:
    """The median, and the least and most."""
    return f"{statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"


def write_images(path: Path, count: int) -> None:
    """Write noisy photographs as Hugging Face's `datasets` does."""
    rng = np.random.default_rng(0)
    images = []
    for row in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize((500, 375))
        noisy = np.clip(np.asarray(coarse, np.int16) + rng.integers(-20, 20, (375, 500, 3)), 0, 255)
        content = encoded(Image.fromarray(noisy.astype(np.uint8)), "JPEG", quality=88)
        images.append({"bytes": content, "path": f"{row}.jpg"})
    pq.write_table(pa.table({"image": images, "label": ["cat"] * count}), path, row_group_size=100)


def through_process(path: Path) -> Read:
    """Reads a row as a run does."""
    source = ParquetSource({NAME: lambda: FileRanges(path)}, NAME)
    return lambda row: source.read(f"{NAME}/{row:08d}")


def in_this_process(path: Path) -> Read:
    """Reads a row with the same code and no other process."""
    files, lock = ParquetFiles(lambda name: FileRanges(path)), threading.Lock()

    def read(row: int) -> bytes:
        with lock:
            return files.read(NAME, row)

    return read


def read_all(read: Read, count: int, threads: int, *, decoded: bool) -> float:
    """Seconds for all rows, divided among threads."""

    def work(first: int) -> None:
        for row in range(first, count, threads):
            content = read(row)
            if decoded:
                decode(content, max_pixels=10**8)

    workers = [threading.Thread(target=work, args=(first,)) for first in range(threads)]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
