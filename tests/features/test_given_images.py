"""Images that a program gives: their ids, and their features from the store."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import photograph
from vitrail.backbones import BackboneSpec, open_backbone
from vitrail.core.errors import DataError
from vitrail.core.hashing import sha256_bytes
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data.sources.plain_png import plain_png
from vitrail.features.given_images import GivenImages, compute_rows

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def as_png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def test_the_id_of_a_file_is_that_of_its_bytes_and_of_an_image_that_of_pixels_and_shape(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(as_png(PIXELS))
    images = [tmp_path / "a.png", str(tmp_path / "a.png"), as_png(PIXELS), PIXELS, Image.fromarray(PIXELS)]
    file, text, data, array, picture = GivenImages(images).ids
    assert file == text == data == sha256_bytes(as_png(PIXELS))
    assert array == picture == sha256_bytes(plain_png(PIXELS))
    other = GivenImages([PIXELS.reshape(6, 4, 3), PIXELS.transpose(1, 0, 2), PIXELS ^ 1, PIXELS[::-1]]).ids
    assert len({file, array, *other}) == 6


def test_a_picture_is_its_upright_pixels(tmp_path: Path):
    turned = Image.Exif()
    turned[0x0112] = 6
    photograph(size=(30, 20)).save(tmp_path / "turned.png", exif=turned)
    with Image.open(tmp_path / "turned.png") as picture:
        upright = np.rot90(np.asarray(picture), -1)
        assert GivenImages([picture]).ids == GivenImages([upright]).ids
    grey = Image.fromarray(PIXELS[..., 0])
    assert GivenImages([grey]).ids == GivenImages([np.repeat(PIXELS[..., :1], 3, axis=2)]).ids


def test_each_distinct_image_is_listed_once_under_the_first_name(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(as_png(PIXELS))
    given = GivenImages([PIXELS, tmp_path / "a.png", PIXELS.copy(), as_png(PIXELS)])
    paths = given.paths()
    assert {id_: paths[id_] for id_ in given.ids} == {
        sha256_bytes(plain_png(PIXELS)): ["images[0]"],
        sha256_bytes(as_png(PIXELS)): [f"{tmp_path / 'a.png'} (images[1])"],
    }
    assert given.read("images[0]") == plain_png(PIXELS)


@pytest.mark.parametrize("then", [b"other bytes", None])
def test_a_file_that_changes_after_it_was_hashed_is_an_error_and_nothing_is_stored(tmp_path: Path, then: bytes | None):
    path = tmp_path / "a.png"
    path.write_bytes(as_png(PIXELS))
    given = GivenImages([path])
    path.unlink()
    if then is not None:
        path.write_bytes(then)
    backbone = open_backbone(BackboneSpec(name="vit_mini"), engine="torch", progress=Silent())
    with pytest.raises(DataError, match=r"a\.png \(images\[0\]\)"):
        compute_rows(given, backbone, backbone.card.pooling, resources=Resources(cache=tmp_path / "cache"))
    assert not list(tmp_path.rglob("*.arrow"))
