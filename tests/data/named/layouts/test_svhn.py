"""The miniature has the layout that torchvision 0.28 reads, datasets/svhn.py, lines 79 to 93: X with rows, columns,
colours and images, and y with labels from 1, where 10 means the digit 0.
"""

import io

import numpy as np
import pytest
from PIL import Image

from tests.data.named.layouts.miniature import SPLITS, counts, even, mat_bytes, open_card, read_card, serve
from vitrail.core.errors import DataError


def arrays(split: str) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat([1, 9, 10], SPLITS[split])
    rng = np.random.default_rng(SPLITS[split])
    return rng.integers(0, 256, (32, 32, 3, len(labels)), dtype=np.uint8), labels[:, None].astype(np.uint8)


def files(**changed: np.ndarray) -> dict[str, bytes]:
    written = {}
    for split in SPLITS:
        pixels, labels = arrays(split)
        variables = {"X": pixels, "y": labels} | changed
        written[f"{split}_32x32.mat"] = mat_bytes(**variables, compressed=True)
    return written


def test_images_digits_and_the_official_split_are_read(web, tmp_path):
    card = serve(web, "svhn", files())
    assert counts(read_card(card, tmp_path)) == even("1", "9", "0")
    with Image.open(io.BytesIO(open_card(card, tmp_path).read("test_32x32.mat/000005.png"))) as image:
        assert np.array_equal(np.asarray(image), arrays("test")[0][..., 5])
    with pytest.raises(OSError, match="not an image of SVHN"):
        open_card(card, tmp_path).read("test_32x32.mat/000099.png")


@pytest.mark.parametrize(
    "changed",
    [
        {"y": np.array([[11]] * 18, dtype=np.uint8)},
        {"y": np.array([[1]] * 3, dtype=np.uint8)},
        {"X": np.zeros((32, 32, 3, 18))},
        {"X": np.zeros((16, 16, 3, 18), np.uint8)},
    ],
)
def test_arrays_of_another_kind_are_one_sentence(web, tmp_path, changed):
    with pytest.raises(DataError, match=r"train_32x32\.mat of svhn does not hold digits of SVHN"):
        list(open_card(serve(web, "svhn", files(**changed)), tmp_path).list_files())
