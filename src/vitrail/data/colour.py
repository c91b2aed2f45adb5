"""The rules by which every kind of pixel becomes 8-bit RGB.

=========================  =========================================================================================
what the file holds        what the backbone sees
=========================  =========================================================================================
RGB                        the same, bit for bit
grey, 1 bit                the value three times; a bit is 0 or 255
palette                    the colours of the palette
CMYK, YCCK                 R = (255 - C)(255 - K) / 255, and so on; a CMYK JPEG is stored inverted, as Adobe writes it
alpha, transparent colour  laid on white, which is what a page or a viewer shows. Dropping alpha would bring out
                           the colours hidden under it, black more often than not. An image that is transparent
                           throughout is rejected, except a BMP: programs of Windows leave its alpha at zero
9 to 16 bits a channel     the high byte of the range that the file states: v >> 8 of 16 bits, v >> 4 of 12, in grey
                           as in colour. The range is not that of the image: two images keep their relation, and a
                           dark one stays dark
32-bit integers            read as 16 bits where all values lie in 0 ... 65535, else rejected
floating point             0 ... 1 becomes 0 ... 255; else 0 ... 255 is rounded; else rejected, as are NaN
white is zero              a TIFF whose photometric interpretation says so is inverted, whatever its depth
YCbCr                      converted as JPEG does (ITU-R BT.601, full range)
LAB, HSV                   LAB is rejected, HSV converted
=========================  =========================================================================================

No colour profile is applied: the backbones were trained on pixels read without one. A large image is converted a band
of rows at a time, so that beside the pixels as stored and as RGB no third copy of them is in memory.

Letters: H rows, W columns, C channels.
"""

from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, PngImagePlugin

WHITE = (255, 255, 255)
SIXTEEN_BITS = 65_535
BAND_PIXELS = 1 << 20
TRANSPARENT = "it is transparent throughout"

# TIFF 6.0, sections 3 and 8; Pillow inverts images of up to 8 bits itself.
TIFF_BITS, TIFF_PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0
# PNG: Pillow spreads grey of 2 and 4 bits over 0 ... 255, but leaves the transparent value as it is stored.
SPREAD = {"L;2": 3, "L;4": 15, "L": 255}


class NoColourRuleError(ValueError):
    """The values of an image have no fixed meaning as brightness."""


def load_pixels(image: Image.Image) -> None:
    """Load the pixels of an image that Pillow has opened, with its transparent colour as a value of these pixels."""
    if isinstance(image, PngImagePlugin.PngImageFile) and image.tile:
        stored, transparent = image.tile[0][3], image.info.get("transparency")
        if stored in SPREAD and isinstance(transparent, int):
            most = SPREAD[stored]
            image.info["transparency"] = (transparent & most) * 255 // most
        elif stored == "RGB;16B" and isinstance(transparent, tuple) and image.fp is not None:
            _whiten_exactly(image, image.fp, transparent)
    image.load()


def to_rgb(image: Image.Image) -> Image.Image:
    """Turn an image whose pixels are loaded into RGB by the rules above; a plain RGB image is returned unchanged.

    Raises:
        NoColourRuleError: the image is LAB, transparent throughout, or holds numbers outside the ranges above.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return _convert_bands(image, _number_rule(image))
    if image.mode == "LAB":
        raise NoColourRuleError("its colours are CIE LAB, which Vitrail cannot convert")
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The image in bands of rows, each with its first row."""
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _convert_bands(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    if image.width * image.height <= BAND_PIXELS:
        return convert(image)
    rgb = Image.new("RGB", image.size)
    for top, band in _bands(image):
        rgb.paste(convert(band), (0, top))
    return rgb


def _whiten_exactly(image: PngImagePlugin.PngImageFile, file: IO[bytes], transparent: tuple[int, ...]) -> None:
    """Load a PNG of 16 bits a channel with its transparent colour white; many colours may share its high bytes.

    Pillow keeps the high byte of each value. The low bytes are read from a second decode of the same file.

    Raises:
        NoColourRuleError: all of it is transparent.
    """
    place = file.tell()
    file.seek(0)
    low = PngImagePlugin.PngImageFile(BytesIO(file.read()))
    file.seek(place)
    low.tile = [ImageFile._Tile("zip", (0, 0, *low.size), low.tile[0].offset, "RGB;16L")]
    del image.info["transparency"], low.info["transparency"]
    image.load()
    low.load()
    key_C, seen = np.asarray(transparent, np.uint16), False
    for (top, high_band), (_, low_band) in zip(_bands(image), _bands(low), strict=True):
        same_HW = ((np.asarray(high_band) == key_C >> 8) & (np.asarray(low_band) == key_C & 255)).all(axis=-1)
        seen = seen or not same_HW.all()
        if same_HW.any():
            image.paste(WHITE, (0, top, image.width, top + len(same_HW)), Image.fromarray(same_HW))
    if not seen:
        raise NoColourRuleError(TRANSPARENT)


def _on_white(image: Image.Image) -> Image.Image:
    seen = False

    def convert(band: Image.Image) -> Image.Image:
        nonlocal seen
        rgba = band if band.mode == "RGBA" else band.convert("RGBA")
        alpha = rgba.getchannel("A")
        seen = seen or alpha.getextrema() != (0, 0)
        canvas = Image.new("RGB", band.size, WHITE)
        canvas.paste(rgba.convert("RGB"), mask=alpha)
        return canvas

    rgb = _convert_bands(image, convert)
    if not seen:
        if image.format != "BMP":
            raise NoColourRuleError(TRANSPARENT)
        return image.convert("RGB")
    return rgb


def _number_rule(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """How a band of numbers becomes RGB; the range of the whole image decides, so it is read first."""
    extrema = [(value_HW.min(), value_HW.max()) for value_HW in (np.asarray(band) for _, band in _bands(image))]
    low, high = np.min([least for least, _ in extrema]), np.max([most for _, most in extrema])
    tags = getattr(image, "tag_v2", {})
    inverted = tags.get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO
    if low.dtype.kind in "iu":
        if low < 0 or high > SIXTEEN_BITS:
            raise NoColourRuleError(f"its integers run from {low} to {high}, outside 0 to {SIXTEEN_BITS}")
        if low == high == image.info.get("transparency"):
            raise NoColourRuleError(TRANSPARENT)
        bits = min(16, tags.get(TIFF_BITS, (16,))[0])
        return partial(_from_integers, bits=bits, inverted=inverted)
    if not (low >= 0 and high <= 255):  # also where either is NaN
        raise NoColourRuleError(f"its floating-point values run from {low:g} to {high:g}, outside 0 to 1 and 0 to 255")
    return partial(_from_floats, scale=255.0 if high <= 1 else 1.0, inverted=inverted)


def _from_integers(band: Image.Image, *, bits: int, inverted: bool) -> Image.Image:
    value_HW = np.asarray(band)
    pixel_HW = (value_HW >> (bits - 8)).astype(np.uint8)
    if inverted:
        pixel_HW = 255 - pixel_HW
    # A 16-bit grey PNG may name one value as transparent.
    transparent = band.info.get("transparency")
    if isinstance(transparent, int):
        pixel_HW[value_HW == transparent] = 255
    return Image.fromarray(pixel_HW).convert("RGB")


def _from_floats(band: Image.Image, *, scale: float, inverted: bool) -> Image.Image:
    pixel_HW: NDArray[np.uint8] = np.rint(np.asarray(band) * scale).astype(np.uint8)
    return Image.fromarray(255 - pixel_HW if inverted else pixel_HW).convert("RGB")
