"""The rules by which every kind of pixel becomes 8-bit RGB.

=========================  =========================================================================================
what the file holds        what the backbone sees
=========================  =========================================================================================
RGB                        the same, bit for bit
grey, 1 bit                the value three times; a bit is 0 or 255
palette                    the colours of the palette
CMYK, YCCK                 R = (255 - C)(255 - K) / 255, and so on; a CMYK JPEG is stored inverted, as Adobe writes it
alpha, transparent colour  laid on white, which is what a page or a viewer shows. Dropping alpha would bring out
                           the colours hidden under it, black more often than not
16 bits a channel          the high byte, v >> 8, in grey as in colour. The range is that of the type, not of the
                           image: two images keep their relation, and a dark one stays dark
32-bit integers            read as 16 bits where all values lie in 0 ... 65535, else rejected
floating point             0 ... 1 becomes 0 ... 255; else 0 ... 255 is rounded; else rejected, as are NaN
YCbCr                      converted as JPEG does (ITU-R BT.601, full range)
LAB, HSV                   LAB is rejected, HSV converted
=========================  =========================================================================================

No colour profile is applied: the backbones were trained on pixels read without one.
"""

import numpy as np
from PIL import Image

WHITE = (255, 255, 255)
SIXTEEN_BITS = 65_535


class NoColourRuleError(ValueError):
    """The values of an image have no fixed meaning as brightness."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Turn an image whose pixels are loaded into RGB by the rules above; a plain RGB image is returned unchanged.

    Raises:
        NoColourRuleError: the image is LAB, or holds numbers outside the ranges above.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return _from_numbers(image).convert("RGB")
    if image.mode == "LAB":
        raise NoColourRuleError("its colours are CIE LAB, which Vitrail cannot convert")
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    canvas = Image.new("RGB", image.size, WHITE)
    canvas.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
    return canvas


def _from_numbers(image: Image.Image) -> Image.Image:
    value_HW = np.asarray(image)
    low, high = value_HW.min(), value_HW.max()
    if value_HW.dtype.kind in "iu":
        if low < 0 or high > SIXTEEN_BITS:
            raise NoColourRuleError(f"its integers run from {low} to {high}, outside 0 to {SIXTEEN_BITS}")
        pixel_HW = (value_HW >> 8).astype(np.uint8)
        # A 16-bit grey PNG may name one value as transparent.
        transparent = image.info.get("transparency")
        if isinstance(transparent, int):
            pixel_HW[value_HW == transparent] = 255
        return Image.fromarray(pixel_HW)
    if not (low >= 0 and high <= 255):  # also where either is NaN
        raise NoColourRuleError(f"its floating-point values run from {low:g} to {high:g}, outside 0 to 1 and 0 to 255")
    scale = 255.0 if high <= 1 else 1.0
    return Image.fromarray(np.rint(value_HW * scale).astype(np.uint8))
