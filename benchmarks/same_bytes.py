"""What it costs to hash a weights file again just before it is parsed: seconds and memory for a large file.

    python -m benchmarks.same_bytes [--gigabytes 2.5]

A file of random float32 is read and copied, as a network is loaded, with the check and without, in turn; each in a
process of its own, so that the peak of its memory is its own. The file stays in the page cache.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.results import machine_line, write_results
from vitrail.backbones.same_bytes import verified
from vitrail.backbones.specs import digest_of
from vitrail.backbones.weights import read_weights

ROUNDS = 5
TENSORS = 100


def write_file(path: Path, gigabytes: float) -> None:
    """Tensors of equal size, the file that many bytes together."""
    numbers = int(gigabytes * 1e9 / 4 / TENSORS)
    save_file({f"layer{number}": torch.rand(numbers) for number in range(TENSORS)}, path)


def load(path: Path, digest: str) -> None:
    """Print seconds, CPU seconds and the peak memory in GB of one load; without a digest nothing is checked."""
    begun, begun_cpu = time.perf_counter(), time.process_time()
    with verified(path, digest) if digest else nullcontext():
        copies = [tensor.clone() for tensor in read_weights(path).values()]
    seconds, cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    assert len(copies) == TENSORS
    print(seconds, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)


def measure(path: Path, digest: str) -> list[float]:
    """Seconds, CPU seconds and gigabytes of one load in a new process."""
    command = [sys.executable, "-m", "benchmarks.same_bytes", "--load", str(path), digest]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return [float(figure) for figure in answer]


def main(gigabytes: float) -> None:
    """Measure in turn, and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.safetensors"
        write_file(path, gigabytes)
        ways = {"parsed only": "", "hashed, then parsed": digest_of(path)}
        time.sleep(3)  # a file that has just been written is hashed once more afterwards
        rounds = [{name: measure(path, digest) for name, digest in ways.items()} for _ in range(ROUNDS)]
    lines = [f"A weights file of {gigabytes} GB, loaded {ROUNDS} times each way, in turn.", ""]
    lines += ["    python -m benchmarks.same_bytes", "", machine_line(), ""]
    lines += ["| load | seconds, median | least to most | CPU seconds, median | peak GB, median |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for name in ways:
        seconds, cpu, peaks = zip(*(figures[name] for figures in rounds), strict=True)
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        medians = f"{statistics.median(cpu):.2f} | {statistics.median(peaks):.2f}"
        lines.append(f"| {name} | {statistics.median(seconds):.2f} | {spread} | {medians} |")
        print(lines[-1], flush=True)
    write_results("same_bytes", lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=2.5)
    parser.add_argument("--load", nargs=2, metavar=("FILE", "DIGEST"))
    chosen = parser.parse_args()
    if chosen.load:
        load(Path(chosen.load[0]), chosen.load[1])
    else:
        main(chosen.gigabytes)
