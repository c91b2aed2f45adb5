import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import encoded, picture
from vitrail.data import colour
from vitrail.data.colour import NoColourRuleError, to_rgb
from vitrail.data.images import ImageRejected, decode


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


def png(colour: int, bits: int, rows: list[bytes], size: tuple[int, int], transparent: bytes) -> bytes:
    """A PNG of any depth, with a transparent colour as the file stores it."""
    header = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = ((b"IHDR", header), (b"tRNS", transparent), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def tiff(stored: bytes, size: tuple[int, int], *, bits: int, photometric: int, sample_format: int = 1) -> bytes:
    """An uncompressed grey TIFF of any depth."""
    width, height = size
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1)]
    tags += [(278, height), (279, len(stored)), (339, sample_format)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(stored)) + stored + directory + bytes(4)


@pytest.mark.parametrize("bits", [2, 4])
def test_the_transparent_grey_of_a_shallow_png_is_a_value_as_it_is_stored(bits):
    most = 2**bits - 1
    values = list(range(most + 1))
    row = int("".join(f"{value:0{bits}b}" for value in values), 2).to_bytes(len(values) * bits // 8)
    expected = [255 if value == 1 else value * 255 // most for value in values]
    assert rgb(png(0, bits, [row], (len(values), 1), struct.pack(">H", 1)))[0, :, 0].tolist() == expected


def test_metadata_before_the_pixels_do_not_hide_a_transparent_grey():
    """Pillow decodes a PNG with XMP when it is asked for an orientation."""
    text = b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta/>"
    data = png(0, 4, [bytes([0x13, 0x20])], (4, 1), struct.pack(">H", 1))
    chunk = struct.pack(">I", len(text)) + b"iTXt" + text + struct.pack(">I", zlib.crc32(b"iTXt" + text))
    assert rgb(data[:33] + chunk + data[33:])[0, :, 0].tolist() == [255, 51, 34, 0]


def test_one_of_the_colours_that_share_their_high_bytes_is_transparent():
    row = np.asarray([(0x1299, 0x3499, 0x5699), (0x1298, 0x3499, 0x5699), (0x1200, 0x3400, 0x5600)], ">u2")
    data = png(2, 16, [row.tobytes()] * 2, (3, 2), struct.pack(">HHH", 0x1299, 0x3499, 0x5699))
    assert rgb(data)[1].tolist() == [[255] * 3, [0x12, 0x34, 0x56], [0x12, 0x34, 0x56]]


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("kind", ["16 bits", "12 bits", "floating point"])
def test_a_deep_tiff_is_read_by_its_depth_and_its_photometric_interpretation(kind, photometric):
    grey_HW = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
    ink_HW = grey_HW if photometric else 255 - grey_HW
    if kind == "16 bits":
        data = tiff((ink_HW.astype("<u2") * 257).tobytes(), (8, 8), bits=16, photometric=photometric)
    elif kind == "floating point":
        stored = (ink_HW / 255).astype("<f4").tobytes()
        data = tiff(stored, (8, 8), bits=32, photometric=photometric, sample_format=3)
    else:
        first, second = (ink_HW.reshape(-1, 2).astype(int) << 4).T
        packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8)
        data = tiff(packed.tobytes(), (8, 8), bits=12, photometric=photometric)
    if kind == "12 bits" and photometric == 0:  # which Pillow cannot open
        with pytest.raises(ImageRejected):
            decode(data, max_pixels=10**8)
    else:
        assert np.array_equal(rgb(data), grey(grey_HW))


def test_a_bmp_whose_alpha_was_left_at_zero_shows_its_colours():
    pixel_HWC = np.asarray(picture())
    height, width = pixel_HWC.shape[:2]
    stored = np.dstack([pixel_HWC[..., ::-1], np.zeros((height, width), np.uint8)])[::-1].tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(stored), 2835, 2835, 0, 0)
    header += masks + b"BGRs" + bytes(48)
    data = b"BM" + struct.pack("<IHHI", 14 + len(header) + len(stored), 0, 0, 14 + len(header)) + header + stored
    assert np.array_equal(rgb(data), pixel_HWC)


@pytest.mark.parametrize("case", ["alpha", "palette", "grey", "16-bit grey", "16-bit colour"])
def test_an_image_that_is_transparent_throughout_is_rejected(case):
    clear = {
        "alpha": lambda: encoded(Image.new("RGBA", (4, 4), (9, 9, 9, 0))),
        "palette": lambda: encoded(Image.new("P", (4, 4), 0), transparency=0),
        "grey": lambda: encoded(Image.new("L", (4, 4), 3), transparency=3),
        "16-bit grey": lambda: png(0, 16, [struct.pack(">H", 300)] * 2, (1, 2), struct.pack(">H", 300)),
        "16-bit colour": lambda: png(2, 16, [struct.pack(">HHH", 1, 2, 3)] * 2, (1, 2), struct.pack(">HHH", 1, 2, 3)),
    }
    with pytest.raises(ImageRejected, match="transparent throughout"):
        decode(clear[case](), max_pixels=10**8)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "F", "I"])
def test_bands_of_rows_give_the_pixels_of_the_whole(mode, monkeypatch):
    if mode == "F":
        image = Image.fromarray(np.linspace(0, 1, 24 * 17, dtype=np.float32).reshape(17, 24))
    elif mode.startswith("I"):
        value_HW = np.arange(24 * 17, dtype=np.uint16).reshape(17, 24) * 150
        image = Image.fromarray(value_HW if mode == "I;16" else value_HW.astype(np.int32))
    else:
        image = picture(size=(24, 17)).convert("RGBA" if mode == "P" else mode)
        if mode == "P":
            image = image.quantize(16)
            image.info["transparency"] = 3
        else:
            image.putalpha(Image.linear_gradient("L").resize(image.size))
    whole = np.asarray(to_rgb(image))
    monkeypatch.setattr(colour, "BAND_PIXELS", 24 * 4)
    assert np.array_equal(np.asarray(to_rgb(image)), whole)
    assert len(np.unique(whole)) > 8
