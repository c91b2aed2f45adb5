import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import encoded, photograph
from vitrail.data import images
from vitrail.data.decode_cost import estimate_cost
from vitrail.data.formats import identify, open_header
from vitrail.data.images import ImageRejected, decode, decode_for, decode_grey
from vitrail.data.in_flight import PIXELS, one_item

LIMIT = 100_000_000


def cost_of(data: bytes, *, turned: bool = False):
    image = open_header(identify(data), data)
    return estimate_cost(image, image.size, data, turned=turned)


def jpeg_with_scans(more: int) -> bytes:
    """A progressive JPEG whose last scan is there `more` times again."""
    data = encoded(photograph(size=(640, 480)), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * more + data[end:]


@pytest.mark.parametrize(
    ("kind", "mode", "options", "least", "most"),  # bytes a pixel, as measured by benchmarks/decode_memory.py
    [
        ("JPEG", "RGB", {}, 4, 4.1),
        ("JPEG", "L", {}, 5, 5.1),
        ("JPEG", "CMYK", {}, 8, 8.1),
        ("JPEG", "RGB", {"progressive": True, "subsampling": 2}, 7, 7.5),
        ("JPEG", "RGB", {"progressive": True, "subsampling": 0}, 10, 10.5),
        ("PNG", "RGB", {}, 4, 4.1),
        ("PNG", "RGBA", {}, 8, 8.1),
        ("PNG", "1", {}, 5, 5.1),
        ("WEBP", "RGB", {}, 16, 18),
        ("AVIF", "RGB", {}, 9.3, 14),
        ("JPEG2000", "RGB", {}, 19.4, 21),
        ("TIFF", "RGB", {"compression": "tiff_lzw", "tiffinfo": {278: 1000}}, 7, 7.1),
        ("TIFF", "RGB", {}, 4, 4.1),
    ],
)
def test_the_memory_of_a_decode_is_known_from_the_header(kind, mode, options, least, most):
    image = photograph(size=(320, 160)).convert(mode)
    assert least <= cost_of(encoded(image, kind, **options)).bytes / (320 * 160) <= most


def test_an_image_that_is_turned_upright_is_copied():
    data = encoded(photograph(size=(320, 160)), "JPEG")
    assert cost_of(data, turned=True).bytes == cost_of(data).bytes + 4 * 320 * 160


def test_an_image_that_takes_too_much_memory_is_not_begun():
    data = bytearray(encoded(photograph(size=(16, 16)), "JPEG2000", no_jp2=True))
    data[8:16] = (9000).to_bytes(4) * 2  # columns and rows in the header
    for read in (decode, lambda data, max_pixels: decode_grey(data, at_least=64, max_pixels=max_pixels)):
        with pytest.raises(ImageRejected, match=r"too large: 9000 x 9000 .* MB to decode, over the limit of 800"):
            read(bytes(data), max_pixels=LIMIT)
    with pytest.raises(ImageRejected, match=r"damaged|truncated"):  # the limit was raised, so it is tried
        decode(bytes(data), max_pixels=3 * LIMIT)


def test_a_jpeg_of_thousands_of_scans_is_not_begun():
    begun = time.monotonic()
    for read in (
        lambda data: decode(data, max_pixels=LIMIT),
        lambda data: decode_for(data, [None, 64], max_pixels=LIMIT),
        lambda data: decode_grey(data, at_least=64, max_pixels=LIMIT),
    ):
        with pytest.raises(ImageRejected, match=r"too slow: 640 x 480 .* over the limit of 10"):
            read(jpeg_with_scans(7000))
    assert time.monotonic() - begun < 5
    assert decode(jpeg_with_scans(30), max_pixels=LIMIT).size == (640, 480)


def test_scans_of_a_thumbnail_and_after_the_end_do_not_count():
    exif = Image.Exif()
    exif[0x927C] = b"\xff\xda" * 20_000  # a maker's note, in place of a thumbnail
    data = encoded(photograph(size=(640, 480)), "JPEG", progressive=True, exif=exif)
    assert cost_of(data + b"\xff\xda\0\x04" * 20_000).seconds < 1


def test_a_file_that_takes_a_loop_in_python_is_limited_in_time():
    ten_bits = b"P5 3000 3000 1023\n" + bytes(2 * 3000 * 3000)
    with pytest.raises(ImageRejected, match="too slow"):
        decode(ten_bits, max_pixels=LIMIT)
    assert decode(b"P5 30 30 1023\n" + bytes(2 * 900), max_pixels=LIMIT).size == (30, 30)


def test_large_images_are_decoded_one_at_a_time_and_small_ones_together(monkeypatch):
    data = encoded(photograph(), "PNG")
    active, most, lock = 0, 0, threading.Lock()
    load = images.load_pixels

    def load_slowly(image: Image.Image) -> None:
        nonlocal active, most
        with lock:
            active += 1
            most = max(most, active)
        time.sleep(0.02)
        load(image)
        with lock:
            active -= 1

    def work(_: int) -> None:
        with one_item():
            decode(data, max_pixels=LIMIT)

    monkeypatch.setattr(images, "load_pixels", load_slowly)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
        assert most > 1
        most = 0
        monkeypatch.setattr(PIXELS, "most", 1)
        list(pool.map(work, range(8)))
        assert most == 1


def test_counting_scans_costs_little_beside_the_decode():
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=95, progressive=True)
    data = buffer.getvalue()
    begun = time.process_time()
    scans = cost_of(data).seconds
    counted = time.process_time()
    decode(data, max_pixels=LIMIT)
    assert scans == pytest.approx(len(re.findall(rb"\xff\xda", data)) * 1500 * 1500 * 5e-9)
    assert counted - begun < 0.3 * (time.process_time() - counted)
