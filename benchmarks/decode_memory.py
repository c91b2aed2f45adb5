"""Memory of decoding: measured against the estimate from the header, and with eight threads at once.

    python -m benchmarks.decode_memory

Each image is decoded in a process of its own; memory is the kernel's peak (VmHWM) above that process before the decode.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.results import machine_line, write_results
from vitrail.data.decode_cost import estimate_cost
from vitrail.data.formats import identify, open_header
from vitrail.data.images import decode
from vitrail.data.in_flight import one_item

SIDE = 4000
LARGE = 10_000  # pixels along each side of the images that threads decode at once: 100 megapixels
THREADS = 8
MOST_PIXELS = 100_000_000
KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("JPEG", "RGB", {}),
    ("JPEG", "L", {}),
    ("JPEG", "CMYK", {}),
    ("JPEG", "RGB", {"progressive": True, "subsampling": 2}),
    ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
    ("PNG", "RGB", {"compress_level": 1}),
    ("PNG", "RGBA", {"compress_level": 1}),
    ("PNG", "LA", {"compress_level": 1}),
    ("PNG", "P", {"compress_level": 1}),
    ("PNG", "I;16", {"compress_level": 1}),
    ("GIF", "P", {}),
    ("BMP", "RGBA", {}),
    ("TIFF", "RGB", {}),
    ("TIFF", "F", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw", "tiffinfo": {278: SIDE}}),
    ("WEBP", "RGB", {"method": 0}),
    ("WEBP", "RGBA", {"method": 0}),
    ("AVIF", "RGB", {"speed": 10}),
    ("AVIF", "RGBA", {"speed": 10}),
    ("JPEG2000", "RGB", {}),
    ("JPEG2000", "RGBA", {}),
    ("JPEG2000", "L", {}),
)


def main() -> None:
    """Decode in child processes, and write the table."""
    if len(sys.argv) > 1:
        print(measure(Path(sys.argv[1]), int(sys.argv[2])))
        return
    lines = [__doc__.split("\n", 1)[0] if __doc__ else "", "", "    python -m benchmarks.decode_memory", ""]
    lines += [machine_line(), "", "| format | mode | options | estimate, bytes a pixel | measured |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image"
        for kind, mode, options in KINDS:
            data = encode(draw(mode, SIDE), kind, options)
            path.write_bytes(data)
            image = open_header(identify(data), data)  # type: ignore[arg-type]
            estimate = estimate_cost(image, image.size, data, turned=False).bytes / SIDE**2
            measured = follow(path, 1) / SIDE**2
            shown = ", ".join(f"{name} {value}" for name, value in options.items() if name in SHOWN)
            lines.append(f"| {kind} | {mode} | {shown} | {estimate:.1f} | {measured:.1f} |")
            print(lines[-1], flush=True)
        for mode in ("RGB", "RGBA"):
            data = encode(draw(mode, LARGE), "PNG", {"compress_level": 6})
            path.write_bytes(data)
            line = (
                f"PNG of {LARGE:,} x {LARGE:,}, {mode}, {len(data) / 1e3:,.0f} kB, in {THREADS} threads at once: "
                f"{follow(path, THREADS) / 1e6:,.0f} MB; in one: {follow(path, 1) / 1e6:,.0f} MB."
            )
            lines += ["", line]
            print(line, flush=True)
    write_results("decode_memory", lines)


SHOWN = ("progressive", "subsampling", "compression")


def follow(path: Path, threads: int) -> int:
    """The bytes that decoding in a process of its own takes at most."""
    command = [sys.executable, "-m", "benchmarks.decode_memory", str(path), str(threads)]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def measure(path: Path, threads: int) -> int:
    """Decode a file in some threads at once."""
    data = path.read_bytes()
    open_header(identify(data), data)  # type: ignore[arg-type]  # loads what the format needs
    Image.init()
    before = peak_bytes()

    def work(_: int) -> None:
        with one_item():
            decode(data, max_pixels=MOST_PIXELS)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    return peak_bytes() - before


def peak_bytes() -> int:
    """The peak of this process's resident memory."""
    status: Iterator[str] = iter(Path("/proc/self/status").read_text().splitlines())
    return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def draw(mode: str, side: int) -> Image.Image:
    """A gradient in a mode."""
    ramp = np.linspace(0, 127, side).astype(np.uint8)
    grey_HW = np.add.outer(ramp, ramp)
    if mode == "I;16":
        return Image.fromarray(grey_HW.astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(grey_HW.astype(np.float32))
    grey = Image.fromarray(grey_HW)
    if mode not in ("RGBA", "LA"):
        return grey.convert(mode)
    image = grey.convert(mode[:-1])
    image.putalpha(grey)
    return image


def encode(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    """The bytes of a file."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
