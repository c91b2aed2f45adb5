"""The images in a body, and every reason to refuse one."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from vitrail.delivery.serve import uploads
from vitrail.delivery.serve.admission import Admission, Upload
from vitrail.delivery.serve.refused import MOST_BODY_BYTES, MOST_IMAGES, RequestRefused
from vitrail.delivery.serve.uploads import UploadedImage, read_images

FORM = "multipart/form-data; boundary=b"


def read(body: Iterable[bytes], content_type: str, **headers: str) -> list[UploadedImage]:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in body:
            yield chunk

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with Upload(Admission(images_per_s=10.0), "a client") as upload:
        return asyncio.run(read_images({"content-type": content_type} | named, chunks(), upload))


def refuse(body: Iterable[bytes], content_type: str, **headers: str) -> tuple[int, str]:
    with pytest.raises(RequestRefused) as refused:
        read(body, content_type, **headers)
    return refused.value.reply.status, refused.value.reply.code


def part(content: bytes, *, field: str = "image", name: str = "a.png", kind: str = "image/png") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def test_a_body_of_an_image_is_one_image():
    assert read([b"ab", b"", b"c"], "image/png") == [UploadedImage("images[0]", b"abc")]
    assert read([b"a"], "IMAGE/JPEG; q=1")[0].data == b"a"


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_form_has_an_image_for_each_part_however_it_is_cut(step: int):
    body = part(b"one\r\n--bx") + part(b"", name="") + part(b"three", name="drei \u00e4.png") + b"--b--\r\n"
    images = read([body[start : start + step] for start in range(0, len(body), step)], FORM)
    assert images == [
        UploadedImage("a.png", b"one\r\n--bx"),
        UploadedImage("images[1]", b""),
        UploadedImage("drei \u00e4.png", b"three"),
    ]


def test_a_name_is_short_and_printable_json():
    assert len(read([part(b"x", name="n" * 900), b"--b--"], FORM)[0].name) == 255


@pytest.mark.parametrize(
    "kind", ["text/html", "", "image", "image/", "image/png,image/png", "application/json", "image/\u00e9"]
)
def test_other_types_are_refused(kind: str):
    assert refuse([b"x"], kind) == (415, "unsupported_type")


def test_a_compressed_body_is_refused():
    assert refuse([b"x"], "image/png", content_encoding="gzip") == (415, "unsupported_type")


def test_a_stated_length_over_the_limit_is_refused_before_anything_is_read():
    def body() -> Iterable[bytes]:
        raise AssertionError("it was read")
        yield b""

    assert refuse(body(), "image/png", content_length=str(MOST_BODY_BYTES + 1)) == (413, "too_large")
    assert refuse(body(), "image/png", content_length="9" * 5000) == (413, "too_large")


def test_a_body_without_a_length_is_refused_where_it_passes_the_limit():
    taken = []

    def body() -> Iterable[bytes]:
        for number in range(1000):
            taken.append(number)
            yield bytes(MOST_BODY_BYTES // 10)

    assert refuse(body(), "image/png") == (413, "too_large")
    assert len(taken) == 11


def test_an_empty_body_is_refused():
    assert refuse([], "image/png") == (400, "no_image")
    assert refuse([b"--b--\r\n"], FORM)[0] == 400


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ([part(b"x")], (400, "damaged_form")),  # no last boundary
        ([b"nonsense"], (400, "damaged_form")),
        ([part(b"x", field="file") + b"--b--"], (400, "unknown_field")),
        ([part(b"x", kind="text/plain") + b"--b--"], (415, "unsupported_type")),
        ([b"--b\r\n\r\nx\r\n--b--"], (400, "unknown_field")),
        ([b"--b\r\n" + b"X: y\r\n" * 50 + b"\r\nx\r\n--b--"], (400, "damaged_form")),
        ([b"--b\r\nX: " + b"y" * 5000 + b"\r\n\r\nx\r\n--b--"], (400, "damaged_form")),
        ([part(b"x") * (MOST_IMAGES + 1) + b"--b--"], (400, "too_many_images")),
    ],
)
def test_a_form_that_is_damaged_or_too_large_is_refused(body: list[bytes], answer: tuple[int, str]):
    assert refuse(body, FORM) == answer


def test_a_form_needs_a_boundary():
    assert refuse([b"x"], "multipart/form-data") == (400, "damaged_form")
    assert refuse([b"x"], "multipart/form-data; boundary=" + "b" * 2000) == (400, "damaged_form")


def test_a_slow_body_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploads, "BODY_SECONDS", 0.05)

    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    with Upload(Admission(images_per_s=10.0), "a client") as upload, pytest.raises(RequestRefused) as refused:
        asyncio.run(read_images({"content-type": "image/png"}, drip(), upload))
    assert refused.value.reply.status == 408
