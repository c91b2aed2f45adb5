import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.data.pictures import encoded, photograph
from vitrail.data.boxes import add_box, split_box
from vitrail.data.images import ImageRejected, decode, decode_for, decode_grey, inspect

SIZE = (160, 120)
MOST = 10**6
BOX = (30, 20, 90, 100)


@given(st.binary(), st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 4))
def test_a_box_is_read_back_and_the_file_is_unchanged(data, box):
    assert split_box(add_box(data, box)) == (data, box)


def test_a_file_without_a_box_has_none():
    for data in (b"", encoded(photograph(1), "JPEG")):
        assert split_box(data) == (data, None)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_every_way_to_decode_gives_the_box_alone(kind):
    whole = encoded(photograph(3, SIZE), kind)
    boxed = add_box(whole, BOX)
    expected = np.asarray(decode(whole, max_pixels=MOST).crop(BOX))
    assert np.array_equal(np.asarray(decode(boxed, max_pixels=MOST)), expected)
    for decoded in decode_for(boxed, [None, 16], max_pixels=MOST).values():
        assert np.array_equal(np.asarray(decoded.image), expected)
        assert decoded.size == (60, 80)
    assert decode_grey(boxed, at_least=8, max_pixels=MOST).size == (60, 80)
    header = inspect(boxed, max_pixels=MOST)
    assert (header.width, header.height, header.jpeg_side) == (60, 80, 0)


def test_a_box_is_of_the_pixels_as_stored_and_is_then_turned():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 270 degrees
    turned = encoded(photograph(3, SIZE), "JPEG", exif=exif)
    plain = encoded(photograph(3, SIZE), "JPEG")
    expected = decode(plain, max_pixels=MOST).crop(BOX).transpose(Image.Transpose.ROTATE_270)
    assert np.array_equal(np.asarray(decode(add_box(turned, BOX), max_pixels=MOST)), np.asarray(expected))


def test_a_box_that_reaches_over_the_edge_ends_there():
    data = add_box(encoded(photograph(3, SIZE)), (-5, 100, 20, 500))
    assert decode(data, max_pixels=MOST).size == (20, 20)


@pytest.mark.parametrize("box", [(10, 10, 10, 20), (200, 10, 300, 20), (20, 10, 10, 20)])
def test_a_box_without_a_pixel_is_rejected(box):
    data = add_box(encoded(photograph(3, SIZE)), box)
    for look in (inspect, decode):
        with pytest.raises(ImageRejected, match="has no pixel of the image, which is 160 x 120"):
            look(data, max_pixels=MOST)


def test_the_limit_of_pixels_is_that_of_the_whole_file():
    with pytest.raises(ImageRejected, match="too large"):
        decode(add_box(encoded(photograph(3, SIZE)), BOX), max_pixels=10_000)
