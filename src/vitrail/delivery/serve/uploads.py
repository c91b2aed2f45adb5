"""The images in the body of a request, in memory and within the limits; nothing of a request reaches the disk."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from vitrail.delivery.serve.admission import Upload
from vitrail.delivery.serve.refused import BODY_SECONDS, MOST_BODY_BYTES, MOST_IMAGES, RequestRefused

FIELD = "image"
MULTIPART = "multipart/form-data"
MOST_PART_HEADERS, MOST_PART_HEADER_BYTES = 8, 1024
MOST_NAME = 255  # characters
IMAGE_TYPE = re.compile(r"image/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
UNNAMED_TYPES = frozenset({"", "application/octet-stream"})  # of a part whose program knows no better
TOO_LARGE = f"A request may have {MOST_BODY_BYTES / 1e6:.0f} MB. Send a smaller image, or fewer at once."
WANTED = f"Send one image with a Content-Type of image/*, or several as {MULTIPART} in fields named {FIELD!r}."


@dataclass(frozen=True, slots=True)
class UploadedImage:
    """The bytes of an image file, and the name that the client gave it, which names nothing here."""

    name: str
    data: bytes = field(repr=False)


async def read_images(headers: Mapping[str, str], chunks: AsyncIterator[bytes], upload: Upload) -> list[UploadedImage]:
    """Read the body of a request.

    Args:
        headers: of the request, with names in lower case.
        chunks: its body as it arrives.
        upload: takes the bytes from what all uploads may hold.

    Raises:
        RequestRefused: the type is no image's, the body is too large, slow, empty or damaged, or there is no room.
    """
    kind, options = parse_options_header(headers.get("content-type", ""))
    media_type = kind.decode("latin-1").lower()
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestRefused(415, "unsupported_type", "A compressed body is not read. Send the image file as it is.")
    if media_type != MULTIPART and not IMAGE_TYPE.fullmatch(media_type):
        raise RequestRefused(415, "unsupported_type", f"The Content-Type is not an image's. {WANTED}")
    _require_length(headers.get("content-length"))
    parts = _Parts(options.get(b"boundary", b"")) if media_type == MULTIPART else None
    whole: list[bytes] = []
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in chunks:
                if upload.bytes + len(chunk) > MOST_BODY_BYTES:
                    raise RequestRefused(413, "too_large", TOO_LARGE)
                upload.take(len(chunk))
                if parts is None:
                    whole.append(chunk)
                else:
                    parts.write(chunk)
    except TimeoutError as error:
        raise RequestRefused(
            408, "too_slow", f"The body did not arrive within {BODY_SECONDS:.0f} seconds. Send it again."
        ) from error
    images = [UploadedImage("images[0]", b"".join(whole))] if parts is None else parts.finish()
    if not upload.bytes or not images:
        raise RequestRefused(400, "no_image", f"There is no image in the request. {WANTED}")
    return images


def _require_length(stated: str | None) -> None:
    """Refuse a body that is stated to be too large before it is read."""
    if stated is not None and stated.isdecimal() and int(stated[:20]) > MOST_BODY_BYTES:
        raise RequestRefused(413, "too_large", TOO_LARGE)


class _Parts:
    """The images of a multipart body, taken apart as it arrives."""

    def __init__(self, boundary: bytes) -> None:
        if not boundary:
            raise _damaged("it states no boundary")
        self._images: list[UploadedImage] = []
        self._header_name, self._header_value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._content: list[bytes] = []
        self._is_whole = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_to_name,
                    "on_header_value": self._add_to_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._check_headers,
                    "on_part_data": self._add_to_content,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
                max_header_count=MOST_PART_HEADERS,
                max_header_size=MOST_PART_HEADER_BYTES,
            )
        except FormParserError as error:
            raise _damaged("its boundary is too long") from error

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _damaged("its parts cannot be told apart") from error

    def finish(self) -> list[UploadedImage]:
        """The images, once the body has ended."""
        if not self._is_whole:
            raise _damaged("it ends before its last boundary")
        return self._images

    def _begin_part(self) -> None:
        if len(self._images) == MOST_IMAGES:
            raise RequestRefused(
                400, "too_many_images", f"A request may have {MOST_IMAGES} images. Send the others in another one."
            )
        self._headers, self._content = {}, []
        self._header_name, self._header_value = b"", b""

    def _add_to_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name, self._header_value = b"", b""

    def _check_headers(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if disposition.lower() != b"form-data" or options.get(b"name") != FIELD.encode():
            raise RequestRefused(400, "unknown_field", f"The request has a field other than {FIELD!r}. {WANTED}")
        kind = parse_options_header(self._headers.get(b"content-type", b""))[0].decode("latin-1").lower()
        if kind not in UNNAMED_TYPES and not IMAGE_TYPE.fullmatch(kind):
            raise RequestRefused(415, "unsupported_type", f"A part of the request is not an image. {WANTED}")
        name = options.get(b"filename", b"").decode("utf-8", errors="replace")[:MOST_NAME]
        self._name = name or f"images[{len(self._images)}]"

    def _add_to_content(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _end_part(self) -> None:
        self._images.append(UploadedImage(self._name, b"".join(self._content)))
        self._content = []

    def _end(self) -> None:
        self._is_whole = True


def _damaged(reason: str) -> RequestRefused:
    return RequestRefused(400, "damaged_form", f"The {MULTIPART} body cannot be read: {reason}. {WANTED}")
