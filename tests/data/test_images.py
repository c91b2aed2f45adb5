import sys
import threading
import warnings
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.data.pictures import encoded, image_file, picture, png_that_claims
from vitrail.core.errors import DataError
from vitrail.data.images import ImageRejected, decode, inspect, upright_rgb

LIMIT = 100_000_000
LOSSLESS = [
    pytest.param("PNG", {}, id="png"),
    pytest.param("BMP", {}, id="bmp"),
    pytest.param("PPM", {}, id="ppm"),
    pytest.param("WEBP", {"lossless": True}, id="webp"),
    pytest.param("TIFF", {}, id="tiff"),
    pytest.param("TIFF", {"compression": "tiff_lzw"}, id="tiff-lzw"),
]
LOSSY = [
    pytest.param("JPEG", {}, id="jpeg"),
    pytest.param("JPEG", {"progressive": True}, id="jpeg-progressive"),
    pytest.param("WEBP", {}, id="webp-lossy"),
    pytest.param("AVIF", {}, id="avif"),
    pytest.param("JPEG2000", {}, id="jpeg2000"),
    pytest.param("GIF", {}, id="gif"),
]


def reason(data: bytes, max_pixels: int = LIMIT) -> str:
    with pytest.raises(ImageRejected) as rejected:
        decode(data, max_pixels=max_pixels)
    assert isinstance(rejected.value, DataError)
    assert rejected.value.reason in str(rejected.value)
    return rejected.value.reason


def pixels(data: bytes) -> np.ndarray:
    image = decode(data, max_pixels=LIMIT)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_lossless_formats_give_back_the_pixels_that_were_written(kind, options):
    assert np.array_equal(pixels(encoded(picture(), kind, **options)), np.asarray(picture()))


@pytest.mark.parametrize(("kind", "options"), LOSSY)
def test_lossy_formats_give_what_pillow_gives(kind, options, tmp_path):
    data = encoded(picture(), kind, **options)
    (tmp_path / "image").write_bytes(data)
    with Image.open(tmp_path / "image") as image:
        assert np.array_equal(pixels(data), np.asarray(image.convert("RGB")))


@pytest.mark.shared
def test_photographs_are_bit_for_bit_what_pillow_decodes(shared: Path):
    files = sorted((shared / "data" / "flowers_original").glob("*/*.jpg"))[::80]
    assert len(files) == 10
    for file in files:
        with Image.open(file) as image:
            assert np.array_equal(pixels(file.read_bytes()), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    as_it_lies = pixels(encoded(picture(), kind))
    turned = pixels(encoded(picture(), kind, exif=exif))
    tagged = Image.fromarray(as_it_lies)
    tagged.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(tagged))
    assert turned.shape == upright.shape
    # AVIF is stored turned, so its blocks lie otherwise and the last bits differ.
    assert np.abs(turned.astype(int) - upright.astype(int)).max() <= (60 if kind == "AVIF" else 0)
    if orientation > 1:
        negative_twin = as_it_lies.shape != turned.shape or np.abs(turned.astype(int) - as_it_lies).max() > 60
        assert negative_twin, "the picture looks the same when it is turned: this test would see nothing"


def turned_by(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(picture(), kind, exif=exif)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(turned_by("JPEG", 6), id="turned"),
        pytest.param(encoded(picture().convert("RGBA").rotate(30, fillcolor=(0, 0, 0, 0))), id="see-through"),
        pytest.param(encoded(Image.fromarray(np.arange(384, dtype=np.uint16).reshape(16, 24) * 170)), id="16-bit"),
        pytest.param(encoded(picture().quantize(8), "PNG", transparency=0), id="palette"),
    ],
)
def test_a_picture_that_pillow_has_opened_is_that_of_its_file(data: bytes):
    """The twin: Pillow's own conversion gives other pixels."""
    with Image.open(BytesIO(data)) as image:
        assert np.array_equal(np.asarray(upright_rgb(image)), pixels(data))
        assert not np.array_equal(np.asarray(image.convert("RGB")), pixels(data))


def test_a_tiff_that_pillow_turns_itself_is_not_turned_twice():
    with Image.open(BytesIO(turned_by("TIFF", 6))) as image:
        assert np.array_equal(np.asarray(upright_rgb(image)), pixels(turned_by("TIFF", 6)))


def test_a_picture_that_cannot_be_used_has_its_reason():
    with pytest.raises(ImageRejected, match="CIE LAB"):
        upright_rgb(Image.new("LAB", (4, 4)))
    with pytest.raises(ImageRejected, match="truncated JPEG"):
        upright_rgb(Image.open(BytesIO(encoded(picture(size=(96, 64)), "JPEG")[:900])))


def test_damaged_orientation_data_leave_the_image_as_stored():
    data = encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert np.array_equal(pixels(data), pixels(encoded(picture(), "JPEG")))


def test_the_first_frame_of_an_animation_is_used():
    frames = [picture(seed).quantize(32) for seed in range(3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert inspect(data, max_pixels=LIMIT).animated
    assert np.array_equal(pixels(data), pixels(encoded(frames[0], "GIF")))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_is_distinguished_from_a_still(kind):
    still = inspect(encoded(picture(), kind), max_pixels=LIMIT)
    moving = inspect(encoded(picture(), kind, save_all=True, append_images=[picture(1)]), max_pixels=LIMIT)
    assert (still.animated, moving.animated) == (False, True)


def test_the_header_says_format_and_size_without_decoding():
    header = inspect(png_that_claims(9_000, 8_000), max_pixels=LIMIT)
    assert (header.format, header.width, header.height, header.animated) == ("PNG", 9_000, 8_000, False)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello, I am no picture\n", "it is text"),
        (bytes(range(7, 200)), "none of the known formats: JPEG, PNG"),
        (b"%PDF-1.7 ....", "PDF"),
        (b"<svg xmlns='...'>", "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", "video"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"P5 12", "PPM"),
        (b"GIF89a", "GIF"),
    ],
)
def test_an_incomplete_image_is_rejected_with_its_reason(data, words):
    assert words in reason(data)
    with pytest.raises(ImageRejected, match=words):
        inspect(data, max_pixels=LIMIT)


@pytest.mark.parametrize(("kind", "options"), LOSSLESS + LOSSY)
def test_a_file_cut_short_is_rejected_or_whole_but_never_half_decoded(kind, options):
    data = encoded(picture(size=(96, 64)), kind, **options)
    whole, rejected = pixels(data), 0
    for length in range(0, len(data), max(1, len(data) // 60)):
        try:
            assert np.array_equal(pixels(data[:length]), whole)
        except ImageRejected:
            rejected += 1
    assert rejected > 50


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_a_file_whose_end_is_zeros_is_rejected(kind):
    """A download that stopped leaves such a file: its size is right."""
    data = encoded(picture(size=(96, 64)), kind)
    half = len(data) // 2
    reason(data[:half] + bytes(len(data) - half))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_anywhere_gives_a_rejection_or_an_image(data):
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "PPM", "AVIF", "JPEG2000"]))
    file = bytearray(image_file(kind=kind))
    for _ in range(data.draw(st.integers(1, 8))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    for read in (inspect, decode):
        with suppress(ImageRejected):
            read(bytes(file), max_pixels=1_000_000)


def test_an_image_over_the_limit_is_rejected_by_its_header():
    data = png_that_claims(30_000, 30_000)
    before = _resident()
    for read in (inspect, decode):
        with pytest.raises(ImageRejected, match=r"30000 x 30000 is 900 megapixels, over the limit of 100"):
            read(data, max_pixels=LIMIT)
    assert _resident() - before < 50_000_000
    assert inspect(data, max_pixels=900_000_000).width == 30_000


def _resident() -> int:
    if not sys.platform.startswith("linux"):
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF"])
def test_our_limit_holds_whatever_pillows_is(kind, monkeypatch):
    data = encoded(picture(size=(50, 40)), kind)
    expected = pixels(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow raises from 200 on
    assert np.array_equal(pixels(data), expected)
    assert Image.MAX_IMAGE_PIXELS == 100
    assert "over the limit" in reason(data, max_pixels=1_999)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)  # Pillow warns from 1,000 on
    assert np.array_equal(pixels(data), expected)


def test_nothing_of_pillow_or_of_the_warnings_changes_for_others():
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\0\0\x10\0\0\0"
    odd = encoded(picture(), "JPEG", exif=exif)
    filters, limit = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    threads = [threading.Thread(target=lambda: [decode(odd, max_pixels=LIMIT) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS) == (filters, limit)
    with pytest.warns(UserWarning, match="Skipping tag|Corrupt EXIF"):  # as the same file does where nobody is quiet
        ImageOps.exif_transpose(Image.open(BytesIO(odd)))


def test_a_jpeg_with_a_second_picture_is_the_first_one():
    data = encoded(picture(), "MPO", save_all=True, append_images=[picture(1)])
    header = inspect(data, max_pixels=LIMIT)
    assert (header.format, header.animated) == ("JPEG", False)
    assert np.array_equal(pixels(data), pixels(encoded(picture(), "JPEG")))


def test_a_damaged_tiff_prints_nothing(capfd):
    whole = encoded(picture(size=(64, 64)), "TIFF", compression="tiff_adobe_deflate")
    for place in range(8, 400, 8):
        damaged = bytearray(whole)
        damaged[place : place + 8] = b"\xff" * 8
        with suppress(ImageRejected):
            decode(bytes(damaged), max_pixels=10_000)
    assert capfd.readouterr() == ("", "")
