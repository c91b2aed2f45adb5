"""preprocess.py of a model folder: the pixels of Vitrail, without Vitrail."""

import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import encoded, photograph, picture, png_that_claims
from vitrail.backbones import Preprocessing, least_side, to_pixels
from vitrail.data.boxes import add_box
from vitrail.data.images import ImageRejected, decode_for
from vitrail.delivery.export import pixels
from vitrail.delivery.export.pixels import write_preprocess

LIMIT = 10**7
PLAIN = Preprocessing(resize=56, crop=48, interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3)
PREPROCESSINGS = {
    "plain": PLAIN,
    "bilinear": replace(PLAIN, interpolation="bilinear"),
    "padded": replace(PLAIN, crop=64),
    "odd": replace(PLAIN, resize=57),
    "equalised": replace(PLAIN, equalise=True),
    "squashed": replace(PLAIN, resize_rule="squash"),
    "not antialiased": replace(PLAIN, interpolation="bilinear", antialias=False),
    "reduced decode": replace(PLAIN, resize=16, crop=16, decode="fast"),
}


def tiff_of_16_bits() -> bytes:
    value_HW = (np.arange(90 * 70).reshape(90, 70) * 9).astype(np.uint16)
    return encoded(Image.fromarray(value_HW), "TIFF")


def with_orientation(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(photograph(orientation), "JPEG", exif=exif)


def drawn(mode: str, kind: str = "PNG") -> bytes:
    return encoded(photograph(3).convert(mode), kind)


def animation() -> bytes:
    buffer = BytesIO()
    picture(1).save(buffer, "GIF", save_all=True, append_images=[picture(2)])
    return buffer.getvalue()


FILES = {
    "jpeg": encoded(photograph(), "JPEG"),
    "progressive jpeg": encoded(photograph(), "JPEG", progressive=True),
    "png": encoded(photograph()),
    "tall": encoded(photograph(size=(60, 211))),
    "a long strip": encoded(picture(size=(900, 3))),
    "small": encoded(picture()),
    "grey": drawn("L"),
    "one bit": drawn("1"),
    "palette": drawn("P"),
    "alpha": encoded(Image.merge("RGBA", (*photograph(4).split(), photograph(5).convert("L")))),
    "cmyk": drawn("CMYK", "JPEG"),
    "16 bits png": encoded(Image.fromarray((np.arange(64 * 48).reshape(48, 64) * 20).astype(np.uint16))),
    "16 bits tiff": tiff_of_16_bits(),
    "float tiff": encoded(photograph().convert("F"), "TIFF"),
    "webp": drawn("RGB", "WEBP"),
    "bmp": drawn("RGB", "BMP"),
    "animation": animation(),
    "a box": add_box(encoded(photograph(), "JPEG"), (10, 20, 130, 90)),
    **{f"turned {orientation}": with_orientation(orientation) for orientation in range(1, 9)},
}

REFUSED = {
    "empty": b"",
    "text": b"hello",
    "heic": b"\0\0\0\x18ftypheic" + bytes(40),
    "cut short": encoded(photograph(), "JPEG")[:900],
    "over the limit": png_that_claims(4000, 4000),
    "lab": encoded(photograph().convert("LAB"), "TIFF"),
    "transparent throughout": encoded(Image.new("RGBA", (30, 20), (255, 0, 0, 0))),
}


def load_module(preprocessing: Preprocessing) -> ModuleType:
    """preprocess.py as a module, without importing Vitrail into it."""
    module = ModuleType("preprocess")
    sys.modules["preprocess"] = module  # dataclasses look their module up
    exec(compile(write_preprocess(preprocessing, max_pixels=LIMIT), "preprocess.py", "exec"), vars(module))
    return module


def our_pixels(data: bytes, preprocessing: Preprocessing) -> np.ndarray:
    side = least_side(preprocessing)
    decoded = decode_for(data, [side], max_pixels=LIMIT)[side]
    return to_pixels(decoded.image, preprocessing, size=decoded.size, box=decoded.box)


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_every_kind_of_picture_has_the_same_pixels(name: str):
    module = load_module(PREPROCESSINGS[name])
    for kind, data in FILES.items():
        pixel_HWC = module.to_crop(module.decode_file(data))
        assert pixel_HWC.dtype == np.uint8
        assert np.array_equal(pixel_HWC, our_pixels(data, PREPROCESSINGS[name])), kind


def test_the_kinds_of_preprocessing_differ():
    """Negative twin: a module for another preprocessing gives other pixels."""
    data = FILES["jpeg"]
    cropped = [p for p in PREPROCESSINGS.values() if p.crop == 48]
    pixels = {our_pixels(data, preprocessing).tobytes() for preprocessing in cropped}
    assert len(pixels) == len(cropped)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_vitrail_rejects_is_refused_for_the_same_reason(kind: str):
    module = load_module(PLAIN)
    with pytest.raises(ImageRejected) as ours:
        our_pixels(REFUSED[kind], PLAIN)
    with pytest.raises(module.ImageRejected) as theirs:
        module.decode_file(REFUSED[kind])
    assert str(theirs.value) == str(ours.value)


def test_it_needs_numpy_and_pillow_only(tmp_path: Path):
    (tmp_path / "preprocess.py").write_text(write_preprocess(PLAIN, max_pixels=LIMIT))
    script = (
        "import sys; known = set(sys.modules); sys.path.insert(0, sys.argv[1]); import preprocess\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - known} - sys.stdlib_module_names\n"
        "print(*sorted(name for name in names if hasattr(sys.modules[name], '__file__')))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"PIL", "numpy", "preprocess"}


def test_two_definitions_of_one_name_are_noticed(monkeypatch: pytest.MonkeyPatch):
    names = ("vitrail.heads.scores", "vitrail.heads.scaling")
    twice = tuple(pixels.Extract(module=name, only=("ROWS_AT_ONCE",)) for name in names)
    monkeypatch.setattr(pixels, "EXTRACTS", (*pixels.EXTRACTS, *twice))
    with pytest.raises(ValueError, match="rename one of them"):
        write_preprocess(PLAIN, max_pixels=LIMIT)
