"""An image file with a box: the bytes of the file, and behind them the part of it that is the example.

So the digest of an example covers the file and the box, and nothing is decoded and encoded again. The box follows the
file as four integers, its left, top, right and bottom in pixels as stored, and MARK. The right column and the bottom
row are not part of the box.
"""

import struct

PixelBox = tuple[int, int, int, int]  # left, top, right, bottom

MARK = b"\0vitrail box\0"
_TRAILER = struct.Struct(f"<4i{len(MARK)}s")


def add_box(data: bytes, box: PixelBox) -> bytes:
    """The bytes of an image file with a box."""
    return data + _TRAILER.pack(*box, MARK)


def split_box(data: bytes) -> tuple[bytes, PixelBox | None]:
    """The bytes of the file alone, and its box or None."""
    if not data.endswith(MARK) or len(data) < _TRAILER.size:
        return data, None
    left, top, right, bottom, _ = _TRAILER.unpack_from(data, len(data) - _TRAILER.size)
    return data[: -_TRAILER.size], (left, top, right, bottom)
