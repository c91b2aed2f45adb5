"""What decoding an image will take, from its header: bytes of memory, and seconds where a format can be slow.

Both are known before anything is decoded. A decoder in C cannot be interrupted from another thread, so an image that
would take too long is not begun. Bytes a pixel were measured for each format and mode (benchmarks/decode_memory.py).
"""

import re
import struct
from dataclasses import dataclass

from PIL import ImageFile, JpegImagePlugin, TiffImagePlugin

MOST_SECONDS = 10.0

# Bytes of a pixel as Pillow holds it; every other mode takes four.
STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
RGB = 4

# Seconds a sample, for decoders that are loops in Python: text, and binary values that do not fill their bits.
SLOW_SAMPLES = {"ppm_plain": 0.5e-6, "ppm": 1.5e-6}
SLOW_PIXEL_SCAN = 5e-9  # seconds a pixel for each scan of a JPEG; a scan may be a few bytes, and is a pass all the same

MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in the coded pixels of a JPEG: neither a stuffed zero nor a restart
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9

TIFF_BITS, TIFF_SAMPLES, TIFF_ROWS, TIFF_TILE_WIDTH, TIFF_TILE_LENGTH = 258, 277, 278, 322, 323


@dataclass(frozen=True, slots=True)
class DecodeCost:
    """Bytes of memory while an image is decoded and converted, without its file; and seconds, by estimate."""

    bytes: int
    seconds: float


def estimate_cost(image: ImageFile.ImageFile, whole: tuple[int, int], data: bytes, *, turned: bool) -> DecodeCost:
    """The cost of an image that Pillow has opened and not loaded.

    Args:
        image: opened; a JPEG perhaps drafted to a fraction of its size.
        whole: its size before.
        data: the whole file.
        turned: whether it is turned upright afterwards, which copies it.
    """
    pixels = image.width * image.height
    stored = STORED.get(image.mode, 4)
    after = 0 if image.mode == "RGB" and "transparency" not in image.info else RGB
    seconds = 0.0
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        working, seconds = _jpeg_cost(image, whole, data)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        working = _tiff_buffer(image)
    else:
        working = int(pixels * _working_bytes(image))
        seconds = pixels * len(image.getbands()) * SLOW_SAMPLES.get(image.tile[0][0] if image.tile else "", 0)
    return DecodeCost(pixels * stored + max(working, pixels * after) + turned * pixels * RGB, seconds)


def _working_bytes(image: ImageFile.ImageFile) -> float:
    """Bytes a pixel that a decoder holds beside the pixels that it gives to Pillow."""
    bands = len(image.getbands())
    by_format = {"WEBP": 13, "AVIF": 13 if bands == 4 else 9, "JPEG2000": 1 + 5.2 * bands, "PPM": 4}
    return by_format.get(image.format or "", 0)


def _jpeg_cost(image: JpegImagePlugin.JpegImageFile, whole: tuple[int, int], data: bytes) -> tuple[int, float]:
    """Working bytes and seconds: an image in several scans has all its coefficients in memory, two bytes each."""
    assert image.fp is not None, "an image that is not loaded has its file open"
    place = image.fp.tell()  # behind the header of its first scan: a length, a number, two bytes each, and three more
    header = b"\xff\xda" + struct.pack(">HB", 6 + 2 * image.layers, image.layers)
    interleaved = data.startswith(header, place - 8 - 2 * image.layers)
    if interleaved and "progressive" not in image.info:
        return 0, 0.0
    pixels = whole[0] * whole[1]
    shares = [columns * rows for _, columns, rows, _ in image.layer]
    most = max(columns for _, columns, _, _ in image.layer) * max(rows for _, _, rows, _ in image.layer)
    scan_s = pixels * SLOW_PIXEL_SCAN
    return 2 * pixels * sum(shares) // max(1, most), scan_s * _count_scans(data, place, int(MOST_SECONDS / scan_s) + 1)


def _count_scans(data: bytes, place: int, most: int) -> int:
    """How many scans a JPEG has, counted up to `most`; `place` is behind the header of the first."""
    scans = 1
    while scans < most:
        marker = MARKER.search(data, place)
        if marker is None or marker[0][1] == END_OF_IMAGE:
            break
        scans += marker[0][1] == START_OF_SCAN
        place = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])  # the length of its segment
    return scans


def _tiff_buffer(image: TiffImagePlugin.TiffImageFile) -> int:
    """Bytes of a strip or a tile, which libtiff unpacks whole; raw strips are read as they are needed."""
    tags = image.tag_v2
    if image.info.get("compression") == "raw":
        return 0
    bits, samples = tags.get(TIFF_BITS, (1,)), tags.get(TIFF_SAMPLES, 1)
    if TIFF_TILE_WIDTH in tags:
        pixels = tags[TIFF_TILE_WIDTH] * tags.get(TIFF_TILE_LENGTH, image.height)
    else:
        pixels = image.width * min(image.height, tags.get(TIFF_ROWS, image.height))
    return int(pixels * max(bits) * max(samples, len(bits)) / 8)
