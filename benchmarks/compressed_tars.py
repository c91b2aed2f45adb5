"""Reading every image of a .tar.gz in place, against unpacking it once to a plain tar and reading that.

    python -m benchmarks.compressed_tars [--megabytes 100 400 1600]

The images are 50 KB of noise, which packs as little as JPEGs do. Each is read once, in the order of the archive and in
an order that is shuffled, as the order of ids is; a benchmark reads every image twice. Seconds are of CPU, in one
thread.
"""

import argparse
import gzip
import io
import random
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchmarks.results import machine_line, write_results
from vitrail.data.sources.ranges import FileRanges
from vitrail.data.sources.tar import TarArchive
from vitrail.fetch.unpack import store_unpacked

IMAGE_BYTES = 50_000

Result = TypeVar("Result")


def main() -> None:
    """Measure each size, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100, 400, 1600])
    sizes = parser.parse_args().megabytes
    lines = [(__doc__ or "").splitlines()[0], "", "    python -m benchmarks.compressed_tars", "", machine_line(), ""]
    lines += ["| archive | images | in place: list | a shuffled image | in order | unpack | list | an image | faster |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            lines.append(measure(Path(folder), size))
            print(lines[-1], flush=True)
    lines += ["", '"Faster" is by what factor two shuffled reads of every image are, unpacking and listing included.']
    write_results("compressed_tars", lines)


def measure(folder: Path, megabytes: int) -> str:
    """One row of the table."""
    packed, plain = folder / "images.tar.gz", folder / "images.tar"
    count = megabytes * 1_000_000 // IMAGE_BYTES
    draw(packed, count)
    list_packed, archive = timed(lambda: TarArchive(FileRanges(packed), "packed"))
    shuffled, ordered = read_time(archive, shuffle=True), read_time(archive, shuffle=False)
    unpack, _ = timed(lambda: store_unpacked(packed, plain))
    list_plain, unpacked = timed(lambda: TarArchive(FileRanges(plain), "plain"))
    direct = read_time(unpacked, shuffle=True)
    ratio = (list_packed + 2 * count * shuffled) / (unpack + list_plain + 2 * count * direct)
    return (
        f"| {megabytes:,} MB | {count:,} | {list_packed:.1f} s | {1e3 * shuffled:.2f} ms | {1e3 * ordered:.2f} ms | "
        f"{unpack:.1f} s | {list_plain:.2f} s | {1e3 * direct:.3f} ms | {ratio:.1f} x |"
    )


def draw(path: Path, count: int) -> None:
    """A compressed tar of `count` images."""
    noise = random.Random(0)
    with gzip.open(path, "wb", compresslevel=1) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        for number in range(count):
            info = tarfile.TarInfo(f"images/class{number % 100:03d}/{number:06d}.jpg")
            info.size = IMAGE_BYTES
            archive.addfile(info, io.BytesIO(noise.randbytes(IMAGE_BYTES)))


def read_time(archive: TarArchive, *, shuffle: bool) -> float:
    """Seconds for an image, the mean over at most 500."""
    names = list(archive.members)
    if shuffle:
        random.Random(1).shuffle(names)
    names = names[:500]
    seconds, _ = timed(lambda: [archive.read(name) for name in names])
    return seconds / len(names)


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of CPU, and what the work gives."""
    start = time.process_time()
    outcome = work()
    return time.process_time() - start, outcome


if __name__ == "__main__":
    main()
