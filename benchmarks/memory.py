"""Peak memory of files to stored features against the number of images: 5,000 and 100,000.

    python -m benchmarks.memory

Small JPEGs, each made distinct by a comment segment, go the way from the listing of files to stored features and grey
copies in a process of their own for each number. Peak is the kernel's (VmHWM); anonymous memory (RssAnon) is what the
process itself holds at the end, without pages of files that the kernel may drop at any time.
"""

import io
import json
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.results import machine_line, write_results

COUNTS = (5_000, 100_000)
CLASSES, PICTURES = 10, 50
BACKBONE = "vit_mini"
ALLOWED = 1.05


def main() -> None:
    """Measure each number of images, and write the table."""
    lines = [__doc__.split("\n", 1)[0] if __doc__ else "", "", "    python -m benchmarks.memory", ""]
    lines += [machine_line(), "", f"Backbone {BACKBONE}; JPEGs of 32 x 32 pixels; MB are 10^6 bytes.", ""]
    lines += ["| images | after imports | after reading and split | peak | anonymous at the end |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    peaks = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder) / "data", count)
            command = [sys.executable, "-m", "benchmarks.memory", folder]
            found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        peaks.append(found["peak"])
        cells = (found[part] / 1e6 for part in ("imports", "read", "peak", "anonymous"))
        lines.append(f"| {count:,} | " + " | ".join(f"{cell:.0f} MB" for cell in cells) + " |")
        print(lines[-1], flush=True)
    ratio = peaks[1] / peaks[0]
    lines += ["", f"Peak at {COUNTS[1]:,} over peak at {COUNTS[0]:,}: {ratio:.3f} (the bar is {ALLOWED})."]
    print(lines[-1])
    write_results("memory", lines)


def draw(folder: Path, count: int) -> None:
    """`count` files of PICTURES pictures, all of different bytes."""
    pictures = draw_pictures()
    for number in range(CLASSES):
        (folder / f"class{number}").mkdir(parents=True)
    for number in range(count):
        content = make_distinct(pictures[number % PICTURES], number)
        (folder / f"class{number % CLASSES}" / f"{number:06d}.jpg").write_bytes(content)


def draw_pictures() -> list[bytes]:
    """PICTURES JPEGs of noise, 32 x 32 pixels."""
    draws = np.random.default_rng(0)
    pictures = []
    for _ in range(PICTURES):
        buffer = io.BytesIO()
        Image.fromarray(draws.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(buffer, "JPEG")
        pictures.append(buffer.getvalue())
    return pictures


def make_distinct(picture: bytes, number: int) -> bytes:
    """The JPEG with its number in a comment."""
    comment = f"{number:08d}".encode()
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment  # COM, right after SOI
    return picture[:2] + segment + picture[2:]


def extract_all(folder: Path) -> dict[str, int]:
    """Go from files to stored features, and give the memory of this process along it, in bytes."""
    from vitrail.backbones import BackboneSpec, open_backbone
    from vitrail.core.progress import Silent
    from vitrail.core.resources import Resources
    from vitrail.data import CopyCollector, SplitOptions, load, make_split, open_source
    from vitrail.features import extract

    opened = [open_backbone(BackboneSpec(name=BACKBONE), progress=Silent())]
    found = {"imports": status("VmHWM")}
    dataset = load(open_source(folder / "data"), max_pixels=10**8)
    dataset, split, sealed = make_split(dataset, SplitOptions())
    found["read"] = status("VmHWM")
    resources = Resources(cache=folder / "cache")
    with closing(CopyCollector(dataset, max_pixels=10**8, cache=resources.cache)) as copies:
        extraction = extract(dataset, opened, max_pixels=10**8, resources=resources, copies=copies)
    images, in_split = dataset.table.num_rows, len(split.train) + len(split.val) + len(sealed)
    if extraction.features[0].cost.computed != images or in_split != images:
        raise SystemExit("not every image has its row: the figure would mean nothing")
    return found | {"peak": status("VmHWM"), "anonymous": status("RssAnon")}


def status(field: str) -> int:
    """A field of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field + ":")).split()[1]) * 1024


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(extract_all(Path(sys.argv[1]))))
    else:
        main()
