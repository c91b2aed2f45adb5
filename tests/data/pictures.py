"""Pictures and sources that the tests of this room are made of."""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from vitrail.data.dataset import EXAMPLE_SCHEMA, Dataset, Listed


def picture(seed: int = 0, size: tuple[int, int] = (24, 16)) -> Image.Image:
    """Smooth colours with some detail, of no symmetry: every turn of it is another picture."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)


def photograph(seed: int = 0, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Structure of every size, the coarser the stronger, as photographs have it."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)).resize(
                size, Image.Resampling.BICUBIC
            ),
            dtype=np.float32,
        )
        / cells
        for cells in (3, 5, 9, 17, 33, 65)
    ]
    total_HWC = np.sum(layers, axis=0)
    low, high = total_HWC.min(), total_HWC.max()
    return Image.fromarray(((total_HWC - low) / (high - low) * 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def image_file(seed: int = 0, kind: str = "PNG") -> bytes:
    """A small image whose bytes differ with the seed."""
    return encoded(picture(seed), kind)


def png_that_claims(width: int, height: int) -> bytes:
    """A sound grey PNG of this size whose rows are all zero; written without holding its pixels."""
    stream, packer = bytearray(), zlib.compressobj(1)
    row = bytes(1 + (width + 7) // 8)  # one bit a pixel, and the byte that names the filter
    for _ in range(height):
        stream += packer.compress(row)
    stream += packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", bytes(stream)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


class MemorySource:
    """Files in memory; what is an exception instead of bytes is raised when it is read."""

    name = "memory"

    def __init__(self, listing: Sequence[Listed], files: Mapping[str, bytes | OSError]) -> None:
        self.listing, self.files = listing, files

    def list_files(self) -> Iterator[Listed]:
        yield from self.listing

    def read(self, path: str) -> bytes:
        found = self.files[path]
        if isinstance(found, OSError):
            raise found
        return found


def dataset_of(rows: Sequence[tuple[str, int, str | None, str | None]], classes: int) -> Dataset:
    """A data set of (id, label, group, given split) without any files."""
    rows = sorted(rows)
    table = pa.table(
        {
            "id": [row[0] for row in rows],
            "paths": [[f"{row[0]}.png"] for row in rows],
            "label": [row[1] for row in rows],
            "group": [row[2] for row in rows],
            "given_split": [row[3] for row in rows],
            "jpeg_side": [None] * len(rows),
        },
        schema=EXAMPLE_SCHEMA,
    )
    return Dataset(
        name="rows",
        table=table,
        classes=tuple(f"class {label}" for label in range(classes)),
        set_aside=(),
        warnings=(),
        fingerprint="",
        source=MemorySource([], {}),
    )
