"""Which image formats are read, and how Pillow opens one without its process-wide settings.

A file is what its first bytes say, whatever its name says. The table is explicit, so that no format that runs
another program (EPS, PDF) or that has no signature (TGA) is ever tried on a user's file.

The classes are called directly rather than through `PIL.Image.open`, which compares every image with the
global MAX_IMAGE_PIXELS: our own limit is an argument, and may be above or below Pillow's.
"""

import ctypes
import importlib
import logging
import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from io import BytesIO

from PIL import Image, ImageFile

from vitrail.core.hidden_warnings import HiddenWarnings


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """One format: the name people know, what its files begin with, and the class in Pillow that opens it."""

    name: str
    signature: re.Pattern[bytes]
    plugin: str


# JpegImageFile and not Pillow's factory, which turns a JPEG with a second image (MPO, from stereo cameras) into an
# animation of another class: the first image is the same bytes either way.
FORMATS = (
    ImageFormat("JPEG", re.compile(rb"\xff\xd8\xff"), "JpegImagePlugin.JpegImageFile"),
    ImageFormat("PNG", re.compile(rb"\x89PNG\r\n\x1a\n"), "PngImagePlugin.PngImageFile"),
    ImageFormat("WebP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "WebPImagePlugin.WebPImageFile"),
    ImageFormat("GIF", re.compile(rb"GIF8[79]a"), "GifImagePlugin.GifImageFile"),
    ImageFormat("BMP", re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL), "BmpImagePlugin.BmpImageFile"),
    ImageFormat("TIFF", re.compile(rb"II[*+]\0|MM\0[*+]"), "TiffImagePlugin.TiffImageFile"),
    ImageFormat("PPM", re.compile(rb"P[1-6]\s"), "PpmImagePlugin.PpmImageFile"),
    ImageFormat(
        "AVIF",
        re.compile(rb".{4}ftyp(avi[fs]|m[is]f1.{4}(.{4}){0,8}?avif)", re.DOTALL),
        "AvifImagePlugin.AvifImageFile",
    ),
    ImageFormat(
        "JPEG 2000", re.compile(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"), "Jpeg2KImagePlugin.Jpeg2KImageFile"
    ),
)

# Kinds of files that people do put among their images, and that deserve a better word than "not an image".
KNOWN_STRANGERS = (
    (re.compile(rb".{4}ftyp(hei[cxms]|hev[cx]|mif1|msf1)", re.DOTALL), "a HEIC image: convert it to JPEG or PNG"),
    (re.compile(rb".{4}ftyp", re.DOTALL), "a video"),
    (re.compile(rb"\x1a\x45\xdf\xa3|RIFF.{4}AVI ", re.DOTALL), "a video"),
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"\s*(<\?xml|<svg)"), "an SVG drawing or XML text"),
    (re.compile(rb"PK\x03\x04"), "a zip archive: unpack it"),
    (re.compile(rb"\s*<(!DOCTYPE|html)", re.IGNORECASE), "a web page"),
)


def identify(data: bytes) -> ImageFormat | None:
    """The format whose signature the bytes begin with, or None."""
    return next((known for known in FORMATS if known.signature.match(data)), None)


def describe_stranger(data: bytes) -> str:
    """What bytes that are not an image seem to be, in words that follow "not an image: "."""
    for signature, words in KNOWN_STRANGERS:
        if signature.match(data):
            return f"it is {words}"
    if re.fullmatch(rb"[\t\n\r\x20-\x7e]+", data[:512]):
        return "it is text"
    return "its first bytes match none of the known formats: " + ", ".join(known.name for known in FORMATS)


def open_header(known: ImageFormat, data: bytes) -> ImageFile.ImageFile:
    """Open an image without decoding it. Raises whatever Pillow's plugin raises on a damaged file."""
    return _opener(known.plugin)(BytesIO(data))


@cache
def _opener(plugin: str) -> type[ImageFile.ImageFile]:
    module, name = plugin.split(".")
    opener: type[ImageFile.ImageFile] = getattr(importlib.import_module(f"PIL.{module}"), name)
    return opener


_PILLOW_WARNINGS = HiddenWarnings(r"PIL\.")


@contextmanager
def pillow_is_quiet() -> Iterator[None]:
    """Hide Pillow's warnings inside this block: they are about odd metadata, not about pixels.

    What libtiff and Pillow print in other ways is hidden from then on; Pillow raises what matters.
    """
    _hide_lines()
    with _PILLOW_WARNINGS:
        yield


@cache
def _hide_lines() -> None:
    """Without a handler libtiff prints nothing. Where it cannot be reached, as in Pillow for Windows, it still does."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # without a handler, errors go to the terminal
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(importlib.import_module("PIL._imaging").__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            set_handler = getattr(library, name)
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            set_handler(None)


_limit_lock = threading.Lock()


@contextmanager
def pillow_allows(max_pixels: int) -> Iterator[None]:
    """Raise Pillow's own limit, which some of its formats (TIFF, WebP) look at even so, to one that the user chose.

    Only for an image over twice Pillow's limit that is within a limit raised on purpose: while it is decoded, one at
    a time, all of this process has the higher limit.
    """
    with _limit_lock:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def checksums_match(data: bytes) -> bool:
    """Whether the pixels of a PNG are those that were written: Pillow does not check the CRC of IDAT chunks.

    A download that stopped, and whose rest the file system filled with zeros, is found out here. Where the file
    ends early, Pillow says so better.
    """
    start = 8
    while start + 12 <= len(data):
        length = int.from_bytes(data[start : start + 4])
        end = start + 8 + length
        if end + 4 > len(data):
            return True
        kind = data[start + 4 : start + 8]
        if kind == b"IDAT" and zlib.crc32(memoryview(data)[start + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return False
        if kind == b"IEND":
            return True
        start = end + 4
    return True
