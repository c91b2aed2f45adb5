"""The worst mistakes and their thumbnails."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from vitrail.core.hashing import sha256_bytes
from vitrail.data import Dataset
from vitrail.data.sources import FolderSource
from vitrail.delivery.report.mistakes import SIDE, Images, choose_limit, draw_thumbnail, worst_mistakes
from vitrail.heads.head import Predictions

CLASSES = ("cat", "dog", "owl")
PREDICTIONS = Predictions(
    name="vit",
    ids=("a", "b", "c", "d"),
    label_N=np.array([0, 0, 1, 2]),
    probability_NC=np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.96, 0.03, 0.01], [0.4, 0.35, 0.25]]),
)


def _png(size: tuple[int, int]) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, "red").save(buffer, "PNG")
    return buffer.getvalue()


def _open(uri: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(uri.split(",", 1)[1])))


def test_the_surest_wrong_answer_comes_first_and_right_ones_never() -> None:
    found = worst_mistakes(PREDICTIONS, CLASSES, None, limit=12)
    assert [(m.label, m.answer, m.probability) for m in found] == [
        ("dog", "cat", 0.96),
        ("cat", "dog", 0.7),
        ("owl", "cat", 0.4),
    ]
    assert found[0].label_probability == 0.03
    assert len(worst_mistakes(PREDICTIONS, CLASSES, None, limit=2)) == 2


def test_a_thumbnail_is_small_and_keeps_the_shape() -> None:
    images = Images(read=lambda id_: _png((900, 450)), paths={"c": "dogs/c.png"})
    (mistake,) = worst_mistakes(PREDICTIONS, CLASSES, images, limit=1)
    assert mistake.picture is not None
    assert _open(mistake.picture).size == (SIDE, SIDE // 2)
    assert len(mistake.picture) < 8_000
    assert (mistake.path, mistake.tiny) == ("dogs/c.png", False)


def test_a_tiny_picture_is_kept_pixel_by_pixel() -> None:
    (mistake,) = worst_mistakes(PREDICTIONS, CLASSES, Images(read=lambda id_: _png((8, 8))), limit=1)
    assert mistake.tiny
    assert mistake.picture is not None
    assert _open(mistake.picture).size == (8, 8)


def _gone(id_: str) -> bytes:
    raise FileNotFoundError(2, "No such file or directory")


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (None, "not at hand"),
        (Images(read=_gone), "No such file or directory"),
        (Images(read=lambda id_: b""), "it is empty (0 bytes)"),
        (Images(read={}.__getitem__), "not at hand"),
    ],
)
def test_a_picture_that_cannot_be_had_leaves_its_reason(images: Images | None, reason: str) -> None:
    (mistake,) = worst_mistakes(PREDICTIONS, CLASSES, images, limit=1)
    assert mistake.picture is None
    assert mistake.missing == reason


def test_an_image_that_was_replaced_after_it_was_judged_is_not_shown(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "judged.png")
    source = FolderSource(tmp_path)
    sha256 = sha256_bytes((tmp_path / "judged.png").read_bytes())
    for id_, picture in ((sha256, True), ("c", False)):
        table = pa.table({"id": [id_], "paths": [["judged.png"]]})
        dataset = Dataset(name="", table=table, classes=(), set_aside=(), warnings=(), fingerprint="", source=source)
        uri, _, reason = draw_thumbnail(id_, Images.of(dataset))
        assert (uri is not None, reason) == (picture, "" if picture else "changed since, or not at hand")


def test_the_more_backbones_the_fewer_mistakes_of_each() -> None:
    assert [choose_limit(count) for count in (1, 4, 12, 60)] == [12, 12, 6, 3]
