"""The miniature has the layout that torchvision 0.28 reads, datasets/flowers102.py, lines 66 to 76: imagelabels.mat has
the label of every image from 1, setid.mat the images of each split from 1, and images are jpg/image_00001.jpg.
"""

import numpy as np
import pytest

from tests.data.named.layouts.miniature import (
    counts,
    jpeg,
    mat_bytes,
    open_card,
    read_card,
    rows,
    serve,
    split_of,
    tar_bytes,
)
from vitrail.core.errors import DataError

NUMBERS = 30  # ten images each of the classes 1, 77 and 102


def archives(labels=None) -> dict[str, bytes]:
    labels = [1] * 10 + [77] * 10 + [102] * 10 if labels is None else labels
    numbers = np.arange(1, NUMBERS + 1)
    split = (numbers - 1) % 10
    return {
        "102flowers.tgz": tar_bytes({f"jpg/image_{n:05d}.jpg": jpeg(int(n)) for n in numbers}, gz=True),
        "imagelabels.mat": mat_bytes(labels=np.array([labels], dtype=np.uint8), compressed=True),
        "setid.mat": mat_bytes(
            trnid=numbers[split < 4][None].astype(np.uint16),
            valid=numbers[(split >= 4) & (split < 6)][None].astype(np.uint16),
            tstid=numbers[split >= 6][None].astype(np.uint16),
        ),
    }


def test_images_names_of_classes_and_the_official_split_are_read(web, tmp_path):
    dataset = read_card(serve(web, "oxford-flowers-102", archives()), tmp_path)
    names = ("pink primrose", "passion flower", "blackberry lily")
    assert counts(dataset) == {
        (name, split): number for name in names for split, number in (("train", 4), ("val", 2), ("test", 4))
    }
    assert rows(dataset)["jpg/image_00012.jpg"] == ("passion flower", "train")
    assert split_of(dataset).how == "Train, val and test as given."


@pytest.mark.parametrize("labels", [[0] * NUMBERS, [103] * NUMBERS, [1] * 5])
def test_labels_that_cannot_be_are_one_sentence(web, tmp_path, labels):
    with pytest.raises(DataError, match=r"imagelabels\.mat and setid\.mat of oxford-flowers-102 do not fit"):
        list(open_card(serve(web, "oxford-flowers-102", archives(labels)), tmp_path).list_files())
