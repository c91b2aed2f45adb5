"""The miniature has the layout that torchvision 0.28 reads, datasets/food101.py, lines 49 to 74: meta/train.json has
the paths of each class without ending, and images are food-101/images/<class>/<number>.jpg.
"""

import json

import pytest

from tests.data.named.layouts.miniature import SPLITS, counts, even, jpeg, open_card, read_card, rows, serve, tar_bytes
from vitrail.core.errors import DataError

DISHES = ("apple_pie", "waffles")


def archives(**changed: bytes) -> dict[str, bytes]:
    files, lists = {}, {split: {dish: [] for dish in DISHES} for split in SPLITS}
    for place, dish in enumerate(DISHES):
        for number in range(sum(SPLITS.values())):
            split = "train" if number < SPLITS["train"] else "test"
            lists[split][dish].append(f"{dish}/{1000 + number}")
            files[f"food-101/images/{dish}/{1000 + number}.jpg"] = jpeg(place * 100 + number)
    metas = {f"{split}.json": json.dumps(listed).encode() for split, listed in lists.items()}
    metas |= {f"{name}.json": content for name, content in changed.items()}
    files |= {f"food-101/meta/{name}": content for name, content in metas.items()}
    files["food-101/license_agreement.txt"] = b"LICENSE AGREEMENT"
    return {"food-101.tar.gz": tar_bytes(files, gz=True)}


def test_images_labels_and_the_official_split_are_read(web, tmp_path):
    dataset = read_card(serve(web, "food-101", archives()), tmp_path)
    assert counts(dataset) == even(*DISHES)
    assert rows(dataset)["food-101/images/waffles/1009.jpg"] == ("waffles", "test")
    assert dataset.set_aside == ()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"apple_pie": 3}', b"[" * 100_000, b'{"apple_pie": [1]}'])
def test_a_damaged_list_is_one_sentence(web, tmp_path, content):
    card = serve(web, "food-101", archives(train=content))
    with pytest.raises(DataError, match=r"train\.json of food-101 is not a list of images by class"):
        list(open_card(card, tmp_path).list_files())
