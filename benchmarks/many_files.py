"""200,000 small files listed and hashed, against a plain loop that reads and hashes them; memory against their number.

    python -m benchmarks.many_files [--most 200000]

Small JPEGs in 100 class folders, each made distinct by a comment segment. The plain loop walks the folders, opens,
reads and hashes each file by the shortest calls that Python has, in as many threads; `load` also reads each image's
header and makes the table of examples.
Both begin with files that are not in memory ("cold": dropped with posix_fadvise, names and inodes stay), then with
files that are ("warm"), in turn, each in a process of its own. Peak is the kernel's (VmHWM), less what the process had
after its imports.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.memory import PICTURES, draw_pictures, make_distinct, status
from benchmarks.results import machine_line, write_results
from vitrail.core.machine import count_disk_threads

MOST, SHARES, CLASSES = 200_000, (0.25, 0.5, 1.0), 100


def main() -> None:
    """Measure a quarter, a half and all of the files, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--most", type=int, default=MOST)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "FOLDER"), help="measure one way here; for this program")
    arguments = parser.parse_args()
    if arguments.one:
        way, folder = arguments.one
        print(json.dumps(WAYS[way](Path(folder))))
        return
    lines = [(__doc__ or "").splitlines()[0], "", "    python -m benchmarks.many_files", "", machine_line(), ""]
    lines += ["| files | read | plain loop, files/s | load, files/s | of the loop | CPU a file, loop | load | peak |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- | --- |"]
    peaks = {}
    for share in SHARES:
        count = round(share * arguments.most)
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder), count)
            for cache in ("cold", "warm"):
                plain, ours = (measure(way, folder, cold=cache == "cold") for way in WAYS)
                peaks[count] = ours["peak"]
                rates = plain["files"] / plain["wall_s"], ours["files"] / ours["wall_s"]
                cpu_us = [1e6 * outcome["cpu_s"] / outcome["files"] for outcome in (plain, ours)]
                lines.append(
                    f"| {count:,} | {cache} | {rates[0]:,.0f} | {rates[1]:,.0f} | {rates[1] / rates[0]:.2f} | "
                    f"{cpu_us[0]:.0f} us | {cpu_us[1]:.0f} us | {ours['peak'] / 1e6:.1f} MB |"
                )
                print(lines[-1], flush=True)
    least, most = min(peaks), max(peaks)
    slope = (peaks[most] - peaks[least]) / (most - least)
    lines += ["", f"Slope of the peak from {least:,} to {most:,} files: {slope:.0f} bytes a file."]
    print(lines[-1])
    write_results("many_files", lines)


def draw(folder: Path, count: int) -> None:
    """`count` files in class folders, no two of them equal, all on the disk."""
    pictures = draw_pictures()
    for number in range(CLASSES):
        (folder / f"class{number:03d}").mkdir()
    for number in range(count):
        content = make_distinct(pictures[number % PICTURES], number)
        (folder / f"class{number % CLASSES:03d}" / f"{number:06d}.jpg").write_bytes(content)
    os.sync()


def measure(way: str, folder: str, *, cold: bool) -> dict[str, float]:
    """Files, seconds of wall and CPU, and peak memory in bytes of one way in a process of its own."""
    if cold:
        for path in Path(folder).rglob("*.jpg"):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    command = [sys.executable, "-m", "benchmarks.many_files", "--one", way, folder]
    outcome: dict[str, float] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return outcome


def timed(work: Callable[[], int]) -> dict[str, float]:
    """What a piece of work takes, which gives the number of its files."""
    before, wall, cpu = status("VmHWM"), time.perf_counter(), time.process_time()
    files = work()
    return {
        "files": files,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak": status("VmHWM") - before,
    }


def hash_plainly(folder: Path) -> dict[str, float]:
    """Walk, open, read, hash."""

    def work() -> int:
        paths = [f"{top}/{name}" for top, _, names in os.walk(folder) for name in names]
        left, lock = iter(paths), threading.Lock()

        def take() -> None:
            while True:
                with lock:
                    path = next(left, None)
                if path is None:
                    return
                file = os.open(path, os.O_RDONLY)
                hashlib.sha256(os.read(file, os.fstat(file).st_size)).hexdigest()
                os.close(file)

        threads = [threading.Thread(target=take) for _ in range(count_disk_threads())]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(paths)

    return timed(work)


def load_all(folder: Path) -> dict[str, float]:
    """What a benchmark does before anything else."""
    import PIL.JpegImagePlugin

    from vitrail.data import load, open_source

    assert PIL.JpegImagePlugin, "imported before the clock starts"
    source = open_source(folder)
    return timed(lambda: int(load(source).table.num_rows))


WAYS = {"plain": hash_plainly, "load": load_all}

if __name__ == "__main__":
    main()
