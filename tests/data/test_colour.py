from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import encoded, picture
from vitrail.data.colour import NoColourRuleError, to_rgb
from vitrail.data.images import decode


def rgb(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, max_pixels=10**8))


def grey(value_HW: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(value_HW, dtype=np.uint8)[..., None], 3, axis=2)


def test_plain_rgb_is_the_same_object():
    image = picture()
    assert to_rgb(image) is image


def test_grey_is_repeated():
    image = picture().convert("L")
    assert np.array_equal(rgb(encoded(image)), grey(np.asarray(image)))


def test_one_bit_is_black_and_white():
    image = picture().convert("1")
    found = rgb(encoded(image))
    assert np.array_equal(found, grey(np.asarray(image) * 255))
    assert set(np.unique(found)) == {0, 255}


def test_a_palette_gives_its_colours():
    image = picture().quantize(16)
    assert np.array_equal(rgb(encoded(image)), np.asarray(image.convert("RGB")))


def test_cmyk_follows_its_formula_with_adobes_inversion():
    image = picture().convert("CMYK")
    image.putdata([(c, m, y, (c * 7) % 90) for c, m, y, _ in image.get_flattened_data()])
    data = encoded(image, "JPEG", quality=100, subsampling=0)
    with Image.open(BytesIO(data)) as stored:
        cmyk = np.asarray(stored).astype(float)
    formula = (255 - cmyk[..., :3]) * (255 - cmyk[..., 3:]) / 255
    found = rgb(data).astype(float)
    assert np.abs(found - formula).max() <= 1
    assert np.abs(found - (255 - formula)).max() > 100, "an inverted picture would pass"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_on_white(mode):
    solid = picture().convert(mode)
    channels = np.asarray(solid).copy()
    alpha = np.linspace(0, 255, channels[..., -1].size).reshape(channels[..., -1].shape).round().astype(np.uint8)
    channels[..., -1] = alpha
    found = rgb(encoded(Image.fromarray(channels, mode)))
    colour = np.asarray(solid.convert("RGB")).astype(float)
    share = alpha[..., None] / 255
    assert np.abs(found - (colour * share + 255 * (1 - share))).max() <= 1
    assert (found.reshape(-1, 3)[0] == 255).all(), "the hidden colour shows"
    assert np.array_equal(rgb(encoded(solid)), np.asarray(solid.convert("RGB"))), "full alpha changes nothing"


def test_transparent_palette_entries_are_white():
    image = picture().quantize(16)
    found = rgb(encoded(image, transparency=3))
    where = np.asarray(image) == 3
    assert where.any()
    assert (found[where] == 255).all()
    assert np.array_equal(found[~where], np.asarray(image.convert("RGB"))[~where])


def test_a_transparent_colour_is_white():
    image = picture().convert("L").point(lambda value: value // 64 * 64)
    found = rgb(encoded(image, transparency=64))
    where = np.asarray(image) == 64
    assert where.any()
    assert (found[where] == 255).all()


def test_transparent_gif_is_laid_on_white():
    image = picture().quantize(16)
    found = rgb(encoded(image, "GIF", transparency=3))
    assert (found[np.asarray(image) == 3] == 255).all()


def test_sixteen_bit_grey_keeps_the_high_byte():
    value_HW = np.arange(0, 65_536, 37, dtype=np.uint16)[:1_760].reshape(40, 44)
    expected = grey(value_HW >> 8)
    assert np.array_equal(rgb(encoded(Image.fromarray(value_HW), "PNG")), expected)
    assert np.array_equal(rgb(encoded(Image.fromarray(value_HW), "TIFF")), expected)


def test_sixteen_bits_in_grey_and_in_colour_agree():
    """Pillow reads 16-bit colour by its high byte; the grey of the same values must not look otherwise."""
    value_HW = np.arange(0, 65_536, 37, dtype=np.uint16)[:1_760].reshape(40, 44)
    text = "P3\n44 40\n65535\n" + "\n".join(f"{v} {v} {v}" for v in value_HW.ravel())
    in_colour = rgb(text.encode())
    assert np.abs(in_colour.astype(int) - grey(value_HW >> 8)).max() <= 1


def test_a_dark_sixteen_bit_picture_stays_dark():
    assert rgb(encoded(Image.fromarray(np.full((4, 4), 300, np.uint16)))).max() == 1


def test_wide_integers_are_read_as_sixteen_bits_or_rejected():
    assert (np.asarray(to_rgb(Image.fromarray(np.full((2, 2), 0x1234, np.int32)))) == 0x12).all()
    for wild in (-1, 65_536):
        with pytest.raises(NoColourRuleError, match=r"outside 0 to 65535"):
            to_rgb(Image.fromarray(np.asarray([[0, wild]], np.int32)))


def test_floating_point_is_read_by_its_range_or_rejected():
    unit = np.asarray([[0, 0.5, 1]], np.float32)
    assert np.asarray(to_rgb(Image.fromarray(unit)))[0, :, 0].tolist() == [0, 128, 255]
    assert np.asarray(to_rgb(Image.fromarray(unit * 200)))[0, :, 0].tolist() == [0, 100, 200]
    for wild in (-0.1, 300, np.nan, np.inf):
        with pytest.raises(NoColourRuleError, match="floating-point"):
            to_rgb(Image.fromarray(np.asarray([[0, wild]], np.float32)))


def test_lab_has_no_rule_and_says_so():
    with pytest.raises(NoColourRuleError, match="LAB"):
        to_rgb(Image.new("LAB", (2, 2)))
