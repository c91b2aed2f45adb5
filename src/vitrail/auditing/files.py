"""One file at a time: does it decode, and is what it shows odd?

Every benchmark sets aside what is unreadable, what crosses given splits and what has no label (other); the further
findings are suspicions, and such files are used.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from vitrail.core.ahead import in_order
from vitrail.core.machine import usable_cores
from vitrail.core.progress import Progress, running
from vitrail.core.threads import ThreadPool
from vitrail.data import Dataset, ImageRejected, decode, inspect, read_example
from vitrail.data.in_flight import one_item

TASK = "Decoding files"
AHEAD = 32
TINY = 32  # pixels along the shorter side
LONGEST = 4.0  # times as long as wide
ONE_COLOUR = 2.0  # grey levels of standard deviation in every channel

# The endings that people give to what each format's bytes say.
ENDINGS = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "WebP": {".webp"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "TIFF": {".tif", ".tiff"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm"},
    "AVIF": {".avif"},
    "JPEG 2000": {".jp2", ".j2k", ".jpx", ".jpf"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFinding:
    """One thing about one file.

    `kind` is unreadable, crosses splits or other, which are set aside; or tiny, one colour, odd aspect, wrong ending.
    """

    path: str
    kind: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFacts:
    """The formats, and the range of sizes: least, median and most of width and height (pixels) and of bytes."""

    formats: dict[str, int]
    width: tuple[int, int, int]
    height: tuple[int, int, int]
    bytes: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Read:
    format: str
    width: int
    height: int
    bytes: int
    findings: tuple[FileFinding, ...]


def look_through(
    dataset: Dataset, *, max_pixels: int, progress: Progress
) -> tuple[list[FileFinding], FileFacts, tuple[str, ...]]:
    """Decode every example once, whole.

    What was set aside before is listed first, except contents with two labels, which are not about one file.

    Returns:
        The findings, the facts, and the ids that cannot be decoded.
    """
    findings = [
        FileFinding(path=aside.path, kind=aside.kind, detail=aside.reason)
        for aside in dataset.set_aside
        if aside.kind != "two labels"
    ]
    read: list[_Read] = []
    broken: list[str] = []
    for id_, paths, outcome in _read_all(dataset, max_pixels, progress):
        if isinstance(outcome, str):
            broken.append(id_)
            findings.extend(FileFinding(path=path, kind="unreadable", detail=outcome) for path in paths)
            continue
        read.append(outcome)
        findings.extend(outcome.findings)
    return findings, _facts(read), tuple(broken)


def _read_all(
    dataset: Dataset, max_pixels: int, progress: Progress
) -> Iterator[tuple[str, Sequence[str], _Read | str]]:
    ids, paths = (dataset.table.column(name).to_pylist() for name in ("id", "paths"))

    def read(example: tuple[str, Sequence[str]]) -> _Read | str:
        id_, where = example
        try:
            with one_item():
                return _examine(read_example(dataset.source, where[0], id_), where, max_pixels)
        except ImageRejected as error:
            return error.reason
        except OSError as error:
            return f"it cannot be read: {error.strerror or type(error).__name__}"
        finally:
            progress.advance(TASK)

    with running(progress, TASK, total=len(ids), unit="files"):
        pool = ThreadPool(usable_cores(), thread_name_prefix="examine")
        try:
            yield from zip(ids, paths, in_order(pool, read, zip(ids, paths, strict=True), ahead=AHEAD), strict=True)
        finally:
            pool.shutdown(cancel_futures=True)


def _examine(data: bytes, paths: Sequence[str], max_pixels: int) -> _Read:
    header = inspect(data, max_pixels=max_pixels)
    image = decode(data, max_pixels=max_pixels)
    width, height = image.size
    findings = []
    if min(width, height) < TINY:
        findings.append(FileFinding(path=paths[0], kind="tiny", detail=f"{width} x {height} pixels"))
    if max(width, height) >= LONGEST * min(width, height):
        findings.append(FileFinding(path=paths[0], kind="odd aspect", detail=f"{width} x {height} pixels"))
    spread = float(np.asarray(image.reduce(max(1, min(width, height) // 32))).std(axis=(0, 1)).max())
    if spread < ONE_COLOUR:
        findings.append(FileFinding(path=paths[0], kind="one colour", detail="all pixels have nearly the same colour"))
    for path in paths:
        ending = PurePosixPath(path).suffix.lower()
        if ending and ending not in ENDINGS[header.format]:
            findings.append(FileFinding(path=path, kind="wrong ending", detail=f"its bytes are {header.format}"))
    return _Read(header.format, width, height, len(data), tuple(findings))


def _facts(read: Sequence[_Read]) -> FileFacts:
    def span(values: Sequence[int]) -> tuple[int, int, int]:
        ordered = sorted(values) or [0]
        return ordered[0], ordered[len(ordered) // 2], ordered[-1]

    return FileFacts(
        formats=dict(Counter(file.format for file in read).most_common()),
        width=span([file.width for file in read]),
        height=span([file.height for file in read]),
        bytes=span([file.bytes for file in read]),
    )
