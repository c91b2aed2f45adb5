"""From the bytes of a file to an image, or to the reason why there is none.

An image is decoded whole or rejected. Its EXIF orientation is applied, `colour.py` has the rules for everything that
is not RGB, and of an animation the first frame is used. A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, for which
libjpeg leaves out most of the work. Of a file with a box (`boxes.py`), only the box is the image.
"""

import re
import struct
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TypeVar

from PIL import ExifTags, Image, ImageFile

from vitrail.core.errors import DataError
from vitrail.data.boxes import PixelBox, split_box
from vitrail.data.colour import NoColourRuleError, load_pixels, to_rgb
from vitrail.data.decode_cost import MOST_SECONDS, estimate_cost
from vitrail.data.formats import (
    ImageFormat,
    checksums_match,
    describe_stranger,
    identify,
    open_header,
    pillow_allows,
    pillow_is_quiet,
)
from vitrail.data.headers import read_plain_size
from vitrail.data.in_flight import MOST_PIXEL_BYTES, PIXELS

# What Pillow's readers raise on damaged files. Running out of memory is not the file's fault and is left to rise.
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

# An image may take as much memory as all images at once, or this much for each pixel of a limit that was raised.
MOST_BYTES_A_PIXEL = 8

REDUCIBLE = "JPEG"  # the one format that is decoded at a fraction of its size

CUT_SHORT = re.compile("truncated|premature|no more images", re.IGNORECASE)

# Where Pillow keeps what may state an orientation. The turns are those of the EXIF standard, tag 0x0112.
WITH_ORIENTATION = frozenset({"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"})
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Of these turns, which exchange columns and rows, and which then mirror left and right, or top and bottom.
EXCHANGED, MIRRORED, UPSIDE_DOWN = frozenset({5, 6, 7, 8}), frozenset({2, 3, 6, 7}), frozenset({3, 4, 7, 8})

Box = tuple[float, float, float, float]  # left, top, right, bottom

Read = TypeVar("Read")


class ImageRejected(DataError):  # noqa: N818 - it says what happened to the image
    """A file cannot be decoded whole. `reason` is a clause that follows the file's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The image cannot be used: {reason}.")
        self.reason = reason


class ImageTooLarge(ImageRejected):
    """It has too many pixels, or would take too much memory or time: a smaller version of the image can be used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """The facts in a file's header, before decoding; width and height are in pixels, as stored, of the box if any."""

    format: str
    width: int
    height: int
    animated: bool
    boxed: bool = False

    @property
    def jpeg_side(self) -> int:
        """The shorter side of an image that can be decoded at a fraction of its size; 0 for one that cannot."""
        return min(self.width, self.height) if self.format == REDUCIBLE and not self.boxed else 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image: RGB, 8 bits a channel, upright, perhaps at a fraction of its size.

    `size` has the columns and rows of the whole image. `box` is the place of the whole image in the pixels of `image`:
    the outer column or row of a reduced image reaches over the edge if the size is not a multiple of the scale.
    """

    image: Image.Image
    size: tuple[int, int]
    box: Box

    @classmethod
    def whole(cls, image: Image.Image) -> "Decoded":
        """An image at its own size."""
        return cls(image, image.size, (0, 0, *image.size))


def inspect(data: bytes, *, max_pixels: int) -> Header:
    """Read the header of an image without decoding it; `data` is the whole file.

    Raises:
        ImageRejected: the file is empty, not an image, damaged in its header, or too large.
    """
    data, box = split_box(data)
    if box is not None:
        whole = inspect(data, max_pixels=max_pixels)
        left, top, right, bottom = _inside(box, (whole.width, whole.height))
        return replace(whole, width=right - left, height=bottom - top, boxed=True)
    known = _known_format(data)
    if size := read_plain_size(known.name, data):
        _require_fitting(*size, max_pixels)
        return Header(format=known.name, width=size[0], height=size[1], animated=False)

    def read() -> Header:
        image = _open(known, data, max_pixels)
        return Header(format=known.name, width=image.width, height=image.height, animated=_is_animated(image))

    return _guarded(known.name, read, max_pixels)


def decode(data: bytes, *, max_pixels: int) -> Image.Image:
    """Decode an image: RGB, 8 bits a channel, upright; `data` is the whole file.

    The size is checked before anything is decoded. The pixels of a plain RGB JPEG are those of
    `PIL.Image.open(...).convert("RGB")`.

    Raises:
        ImageRejected: the file is empty, not an image, damaged, cut short, too large, or of a kind without a rule.
    """
    data, box = split_box(data)
    known = _known_format(data)
    if known.name == "PNG" and not checksums_match(data):
        raise ImageRejected("damaged PNG (the checksum of its pixels does not match)")

    def read() -> Image.Image:
        image = _open(known, data, max_pixels)
        _take_memory(image, image.size, data, max_pixels)
        return _to_upright_rgb(image, box)

    return _guarded(known.name, read, max_pixels)


def decode_for(data: bytes, least_sides: Collection[int | None], *, max_pixels: int) -> dict[int | None, Decoded]:
    """Decode an image once at each required scale; `data` is the whole file.

    A JPEG is decoded at 1/2, 1/4 or 1/8 as long as both sides keep the least side; None means its full size. The pixels
    for a least side do not depend on the others.

    Raises:
        ImageRejected: `decode` rejects it too.
    """
    known, (_, box) = _known_format(data), split_box(data)
    if known.name != REDUCIBLE or box is not None:
        return dict.fromkeys(least_sides, Decoded.whole(decode(data, max_pixels=max_pixels)))

    def read() -> dict[int | None, Decoded]:
        at_size: dict[tuple[int, int], Decoded] = {}
        decoded = {}
        for side in least_sides:
            image = _open(known, data, max_pixels)
            whole = image.size
            drafted = None if side is None else image.draft(None, (side, side))
            reduced = image.size
            if reduced not in at_size:
                _take_memory(image, whole, data, max_pixels)
                at_size[reduced] = _decode_upright(image, whole, drafted[1] if drafted else (0, 0, *whole))
            decoded[side] = at_size[reduced]
        return decoded

    return _guarded(known.name, read, max_pixels)


def upright_rgb(image: Image.Image) -> Image.Image:
    """Turn an image that Pillow has opened into what `decode` makes of its file: RGB, 8 bits a channel, upright.

    An image that already has this form is returned unchanged.

    Raises:
        ImageRejected: its pixels are damaged, truncated, or of a kind that Vitrail cannot convert.
    """
    return _guarded(image.format or "image", lambda: _to_upright_rgb(image), image.width * image.height)


def decode_grey(data: bytes, *, at_least: int, max_pixels: int) -> Image.Image:
    """Decode the brightness of an image (mode L), upright, at a fraction of its size if its format allows that cheaply.

    A JPEG is decoded at 1/2, 1/4 or 1/8 as long as both sides keep `at_least` pixels; libjpeg then leaves out most of
    the work. A smaller image, or one that is not a JPEG, keeps its own size.

    Raises:
        ImageRejected: `decode` rejects it too.
    """
    if split_box(data)[1] is not None:
        return decode(data, max_pixels=max_pixels).convert("L")
    known = _known_format(data)

    def read() -> Image.Image:
        image = _open(known, data, max_pixels)
        whole = image.size
        image.draft("L", (at_least, at_least))
        _take_memory(image, whole, data, max_pixels)
        return _to_upright_rgb(image).convert("L")

    return _guarded(known.name, read, max_pixels)


def _guarded(kind: str, read: Callable[[], Read], max_pixels: int) -> Read:
    """Let Pillow read, with its warnings kept down and its errors made into reasons."""
    try:
        with pillow_is_quiet():
            try:
                return read()
            except Image.DecompressionBombError:
                if max_pixels <= 2 * (Image.MAX_IMAGE_PIXELS or 0):
                    raise
                with pillow_allows(max_pixels):
                    return read()
    except NoColourRuleError as error:
        raise ImageRejected(str(error)) from error
    except DAMAGED as error:
        raise ImageRejected(_damage(kind, error)) from error


def _known_format(data: bytes) -> ImageFormat:
    if not data:
        raise ImageRejected("it is empty (0 bytes)")
    known = identify(data)
    if known is None:
        raise ImageRejected(f"not an image: {describe_stranger(data)}")
    return known


def _open(known: ImageFormat, data: bytes, max_pixels: int) -> ImageFile.ImageFile:
    image = open_header(known, data)
    _require_fitting(image.width, image.height, max_pixels)
    return image


def _require_fitting(width: int, height: int, max_pixels: int) -> None:
    pixels = width * height
    if pixels > max_pixels:
        raise ImageTooLarge(
            f"too large: {width} x {height} is {pixels / 1e6:.4g} megapixels, over the limit of {max_pixels / 1e6:.4g}"
        )


def _take_memory(image: ImageFile.ImageFile, whole: tuple[int, int], data: bytes, max_pixels: int) -> None:
    """Take what the decode of an opened image needs, and reject one that needs too much; `whole` is its full size."""
    # Pillow decodes a PNG to look for an orientation behind its pixels, so one that may be there counts as there.
    may_turn = bool(image.info.keys() & WITH_ORIENTATION) if image.format == "PNG" else _orientation(image) in TURNS
    cost = estimate_cost(image, whole, data, turned=may_turn)
    what = f"{whole[0]} x {whole[1]} pixels of this kind of {image.format} take"
    most = max(MOST_PIXEL_BYTES, MOST_BYTES_A_PIXEL * max_pixels)
    if cost.bytes > most:
        raise ImageTooLarge(
            f"too large: {what} {cost.bytes / 1e6:,.0f} MB to decode, over the limit of {most / 1e6:,.0f}"
        )
    if cost.seconds > MOST_SECONDS:
        raise ImageTooLarge(
            f"too slow: {what} about {cost.seconds:.0f} s to decode, over the limit of {MOST_SECONDS:.0f}"
        )
    PIXELS.take(cost.bytes)


def _is_animated(image: ImageFile.ImageFile) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except DAMAGED:
        return False  # the second frame is damaged, and it is not used


def _to_upright_rgb(image: Image.Image, box: PixelBox | None = None) -> Image.Image:
    load_pixels(image)
    rgb, orientation = to_rgb(image), _orientation(image)
    part = rgb if box is None else rgb.crop(_inside(box, rgb.size))
    return part.transpose(TURNS[orientation]) if orientation in TURNS else part


def _inside(box: PixelBox, size: tuple[int, int]) -> PixelBox:
    """The part of a box that lies in an image; boxes drawn by hand may reach over its edge."""
    left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], size[0]), min(box[3], size[1])
    if left >= right or top >= bottom:
        raise ImageRejected(f"its box {box} has no pixel of the image, which is {size[0]} x {size[1]}")
    return left, top, right, bottom


def _orientation(image: Image.Image) -> int | None:
    # Pillow turns a TIFF itself, when it loads the pixels.
    if image.format == "TIFF" or not image.info.keys() & WITH_ORIENTATION:
        return None
    try:
        orientation: int | None = image.getexif().get(ExifTags.Base.Orientation)
    except DAMAGED:
        return None  # damaged metadata, sound pixels
    return orientation


def _decode_upright(image: ImageFile.ImageFile, whole: tuple[int, int], box: Box) -> Decoded:
    """Decode an opened JPEG; `whole` is its size and `box` where that lies, both before it is turned."""
    (columns, rows), (left, top, right, bottom), orientation = image.size, box, _orientation(image)
    if orientation in EXCHANGED:
        whole, columns, rows = whole[::-1], rows, columns
        left, top, right, bottom = top, left, bottom, right
    if orientation in MIRRORED:
        left, right = columns - right, columns - left
    if orientation in UPSIDE_DOWN:
        top, bottom = rows - bottom, rows - top
    return Decoded(_to_upright_rgb(image), whole, (left, top, right, bottom))


def _damage(kind: str, error: BaseException) -> str:
    words = " ".join(str(error).split())[:200]
    if isinstance(error, Image.DecompressionBombError):
        return f"too large: {words}"
    if isinstance(error, EOFError) or CUT_SHORT.search(words):
        return f"truncated {kind}: the file ends before the image does"
    if not words or isinstance(error, struct.error) or "not identified by this driver" in words:
        return f"damaged {kind}: its header cannot be read"
    return f"damaged {kind} ({words})"
