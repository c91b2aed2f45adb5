"""The miniature has the layout that tensorflow/datasets 022193c reads, image_classification/caltech_birds.py,
`CaltechBirds2011`: images.txt, train_test_split.txt (1 means train) and bounding_boxes.txt (left, top, width, height)
number the images from 1, and images are CUB_200_2011/images/<class>/<name>.jpg.
"""

import io

import numpy as np
import pytest
from PIL import Image

from tests.data.named.layouts.miniature import SPLITS, counts, even, jpeg, open_card, read_card, rows, serve, tar_bytes
from vitrail.core.errors import DataError
from vitrail.data import decode

BIRDS = ("001.Black_footed_Albatross", "200.Common_Yellowthroat")


def archives(**changed: str) -> dict[str, bytes]:
    files, lists = {}, {"images": "", "train_test_split": "", "bounding_boxes": "", "image_class_labels": ""}
    number = 0
    for place, bird in enumerate(BIRDS):
        for index in range(sum(SPLITS.values())):
            number += 1
            name = f"{bird}/{bird[4:]}_{index:04d}_{number}.jpg"
            files[f"CUB_200_2011/images/{name}"] = jpeg(number)
            lists["images"] += f"{number} {name}\n"
            lists["train_test_split"] += f"{number} {int(index < SPLITS['train'])}\n"
            lists["bounding_boxes"] += f"{number} 4.0 5.0 20.0 {10 + place}.0\n"
            lists["image_class_labels"] += f"{number} {place + 1}\n"
    lists |= changed
    files |= {f"CUB_200_2011/{name}.txt": text.encode() for name, text in lists.items()}
    files["attributes.txt"] = b"1 has_bill_shape::curved\n"
    return {"CUB_200_2011.tgz": tar_bytes(files, gz=True)}


def test_images_labels_and_the_official_split_are_read(web, tmp_path):
    dataset = read_card(serve(web, "cub-200-2011", archives()), tmp_path)
    assert counts(dataset) == even(*BIRDS)
    path = f"CUB_200_2011/images/{BIRDS[1]}/Common_Yellowthroat_0009_20.jpg"
    assert rows(dataset)[path] == (BIRDS[1], "test")


def test_an_image_is_cropped_to_its_box(web, tmp_path):
    source = open_card(serve(web, "cub-200-2011", archives()), tmp_path, boxes=True)
    path = f"CUB_200_2011/images/{BIRDS[1]}/Common_Yellowthroat_0009_20.jpg"
    expected = Image.open(io.BytesIO(jpeg(20))).convert("RGB").crop((4, 5, 24, 16))
    assert np.array_equal(np.asarray(decode(source.read(path), max_pixels=10**6)), np.asarray(expected))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": "1 a b c\n"}, "images.txt of cub-200-2011 has a line of 4 words"),
        ({"train_test_split": "1 1\n"}, "train_test_split.txt of cub-200-2011 lacks image 2"),
        ({"bounding_boxes": "1 x 2 3 4\n"}, "bounding_boxes.txt of cub-200-2011 is damaged at 1"),
    ],
)
def test_damaged_lists_are_one_sentence(web, tmp_path, changed, message):
    with pytest.raises(DataError, match=message):
        list(open_card(serve(web, "cub-200-2011", archives(**changed)), tmp_path, boxes=True).list_files())
