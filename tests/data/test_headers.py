"""The size without Pillow is the one that Pillow reads, whatever is done to a file's header."""

import struct
import zlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.pictures import encoded, picture
from vitrail.data.formats import identify, open_header, pillow_is_quiet
from vitrail.data.headers import PNG_CHUNKS, read_plain_size
from vitrail.data.images import DAMAGED

HEADER_BYTES = 1_000
PLAIN = {
    "jpeg": encoded(picture(), "JPEG"),
    "grey jpeg": encoded(picture().convert("L"), "JPEG"),
    "cmyk jpeg": encoded(picture().convert("CMYK"), "JPEG"),
    "progressive jpeg": encoded(picture(), "JPEG", progressive=True),
    "jpeg with a profile, a comment and a density": encoded(
        picture(), "JPEG", icc_profile=bytes(70_000), comment=b"hello", dpi=(72, 72)
    ),
    "jpeg with xmp": encoded(picture(), "JPEG", xmp=b"<x/>"),
    "png": encoded(picture()),
    "grey png": encoded(picture().convert("L")),
    "png with a palette": encoded(picture().convert("P")),
    "png with alpha": encoded(picture().convert("RGBA")),
    "png with a density": encoded(picture(), dpi=(72, 72)),
}
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
OTHERS = {
    "jpeg with exif": encoded(picture(), "JPEG", exif=EXIF),
    "png with exif": encoded(picture(), exif=EXIF),
    "png with a profile": encoded(picture(), icc_profile=b"profile"),
    "animated png": encoded(picture(), save_all=True, append_images=[picture(1)]),
    "gif": encoded(picture(), "GIF"),
    "webp": encoded(picture(), "WEBP"),
}


def size_by_pillow(data: bytes) -> tuple[int, int] | None:
    """The size of a still image that Pillow opens; None for anything else."""
    known = identify(data)
    if known is None:
        return None
    with pillow_is_quiet():
        try:
            image = open_header(known, data)
            return None if getattr(image, "is_animated", False) else image.size
        except DAMAGED:
            return None


def plain_size(data: bytes) -> tuple[int, int] | None:
    known = identify(data)
    return None if known is None else read_plain_size(known.name, data)


def agrees(data: bytes) -> bool:
    """Whether the size is Pillow's or left to Pillow."""
    size = plain_size(data)
    return size is None or size == size_by_pillow(data)


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_plain_images_are_read_without_pillow(data):
    assert plain_size(data) == picture().size == size_by_pillow(data)


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_what_needs_a_closer_look_is_left_to_pillow(data):
    assert plain_size(data) is None


@pytest.mark.parametrize("data", (PLAIN | OTHERS).values(), ids=PLAIN | OTHERS)
def test_a_file_that_ends_anywhere_in_its_header(data):
    assert all(agrees(data[:length]) for length in range(len(data[:HEADER_BYTES])))


@pytest.mark.parametrize("data", (PLAIN | OTHERS).values(), ids=PLAIN | OTHERS)
@settings(deadline=None, max_examples=100)
@given(changes=st.lists(st.tuples(st.integers(0, HEADER_BYTES), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_file_with_changed_bytes(data, changes):
    changed = bytearray(data)
    for place, value in changes:
        changed[place % len(changed)] = value
    assert agrees(bytes(changed))


SEGMENTS = (
    (0xDB, b"\x00"),
    (0xDB, b"\x10"),
    (0xE0, b"JFIF"),
    (0xE1, b"Exif\0\0"),
    (0xE2, b"ICC_PROFILE\0"),
    (0xE2, b"MPF\0"),
    (0xE2, b"FPXR\0"),
    (0xED, b"Photoshop 3.0\0"),
    (0xED, b"Photoshop 3.0\x008BIM"),
    (0xEE, b"Adobe"),
    *((marker, b"") for marker in range(0xC0, 0x100)),
)


@pytest.mark.parametrize("between", [b"", b"\xff", b"\x00"])
def test_a_jpeg_with_another_segment(between):
    data = PLAIN["jpeg"]
    for (marker, signature), length, filling in product(SEGMENTS, (*range(16), 64, 65, 128, 129), (0, 1, 0xFF)):
        content = signature + length * bytes((filling,))
        segment = bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content
        assert agrees(data[:2] + segment + between + data[2:]), segment


def test_a_jpeg_with_another_frame():
    data = PLAIN["jpeg"]
    start = data.index(b"\xff\xc0")
    kinds = product((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xDE), (8, 12), (0, 5), (0, 5), range(6), range(-6, 13))
    for marker, bits, height, width, components, more in kinds:
        content = (struct.pack(">BHHB", bits, height, width, components) + bytes(12))[: 6 + more]
        frame = bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content
        assert agrees(data[:start] + frame + data[start + 19 :]), frame


@pytest.mark.parametrize("mode", ["grey png", "png", "png with a palette", "png with alpha"])
def test_a_png_with_another_chunk(mode):
    data = PLAIN[mode]
    kinds = (
        *PNG_CHUNKS,
        b"IHDR",
        b"IDAT",
        b"IEND",
        b"iTXt",
        b"zTXt",
        b"acTL",
        b"fcTL",
        b"fdAT",
        b"eXIf",
        b"iCCP",
        b"teSt",
    )
    for kind, length, filling in product(kinds, range(40), (0, 1, 0xFF)):
        another = chunk(kind, length * bytes((filling,)))
        assert agrees(data[:33] + another + data[33:]), another
        assert agrees(data[:33] + another[:-1] + b"?" + data[33:]), another


def test_a_png_with_any_header():
    sizes = (0, 5)
    for width, height, depth, colour, filtering in product(sizes, sizes, range(18), range(8), range(3)):
        header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, filtering, 0)
        assert agrees(PLAIN["png"][:8] + chunk(b"IHDR", header) + PLAIN["png"][33:]), header


def test_the_first_frame_of_two_decides_nothing():
    data = PLAIN["jpeg"]
    start = data.index(b"\xff\xc0")
    frame = data[start : start + 19]
    assert plain_size(data[:start] + frame + data[start:]) is None


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.shared
def test_photographs_and_ten_thousand_mutations_of_them(shared):
    draws = np.random.default_rng(0)
    for path in draws.choice(sorted(str(path) for path in (shared / "data").rglob("*.jpg")), 500, replace=False):
        data = Path(path).read_bytes()
        assert plain_size(data) == size_by_pillow(data), path
        for _ in range(20):
            changed = bytearray(data)
            for place in draws.integers(0, min(len(data), HEADER_BYTES), draws.integers(1, 6)):
                changed[place] = draws.choice([0, 1, 0xFF, draws.integers(0, 256)])
            assert agrees(bytes(changed)), path
