"""VTAB's tasks from what TensorFlow Datasets prepared: the 1,000 images, the test, and the labels of each of the 19."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.data.named.layouts.miniature import counts, open_card, read_card
from tests.data.named.layouts.prepared import picture, write_prepared
from vitrail.core.errors import DataError
from vitrail.data import ListedFile, SetAside
from vitrail.data.named.cards import load_dataset_cards
from vitrail.data.named.vtab import TASKS
from vitrail.data.sources.plain_png import plain_png

CARDS = load_dataset_cards()
IMAGES = 2_010  # of a split from which both train and val come: 90% of it are 1,809
NAMED = [name for name in TASKS if TASKS[name].rule.__name__ == "published_label"]


def say(name: str, place: int) -> dict[str, list]:
    """What an example says, with its label in the benchmark: the place modulo 3, for every task."""
    wanted = place % 3
    if name == "vtab-clevr-count":
        return {"objects/size": [0] * (3 + wanted), "objects/pixel_coords": []}
    if name == "vtab-clevr-distance":
        return {"objects/size": [0], "objects/pixel_coords": [0.0, 0.0, [7.0, 8.25, 8.75][wanted]]}
    if name == "vtab-kitti-distance":
        return {"objects/type": [0, 3], "objects/location": [0.0, 0.0, [5.0, 15.0, 30.0][wanted], 0.0, 0.0, 1.0]}
    if name.startswith("vtab-dsprites"):
        return {"label_x_position": [2 * wanted], "label_orientation": [[0, 3, 5][wanted]]}
    if name.startswith("vtab-smallnorb"):
        return {"label_azimuth": [wanted], "label_elevation": [wanted]}
    return {"label": [wanted]}


def write(folder, name: str) -> None:
    """The splits that a task takes images from, each example with a number of its own."""
    task, card = TASKS[name], CARDS[name]
    images = {"train": IMAGES if "train" in (task.val.split, task.test.split) else 900}
    for part, number in ((task.test, 90), (task.val, 250)):
        images.setdefault(part.split, 700 if task.test.split == task.val.split == "test" else number)
    splits, start = {}, 0
    for split, number in images.items():
        splits[split] = [say(name, place) | {"image": [picture(start + place)]} for place in range(number)]
        start += 100_000
    write_prepared(folder / card.tfds / "1.0.0", card.tfds.partition("/")[0], splits, shards=2)


@pytest.mark.parametrize("name", TASKS)
def test_the_first_800_the_200_and_the_test_are_those_of_the_benchmark(name, tmp_path):
    write(tmp_path / "data", name)
    listed = list(open_card(CARDS[name], tmp_path, data_dir=tmp_path / "data", offline=True).list_files())
    found = {split: [file for file in listed if file.split == split] for split in ("train", "val", "test")}
    task = TASKS[name]
    assert len(listed) == sum(map(len, found.values()))
    assert [file.path for file in found["train"]] == [f"train/{place:07d}" for place in range(800)]
    val_start = {"train": sum(percent * IMAGES // 100 for percent in task.val.after)}.get(task.val.split, 0)
    assert [file.path for file in found["val"]] == [
        f"{task.val.split}/{place:07d}" for place in range(val_start, val_start + 200)
    ]
    pool, percents = {"train": IMAGES}.get(task.test.split, 700 if task.test.after else 90), task.test.after
    start = sum(percent * pool // 100 for percent in percents)
    assert [file.path for file in found["test"]] == [f"{task.test.split}/{place:07d}" for place in range(start, pool)]
    assert all(file.label == str(int(file.path[-7:]) % 3) for file in listed)


def test_a_task_goes_through_the_same_path_as_every_data_set(tmp_path):
    write(tmp_path / "data", "vtab-retinopathy")
    dataset = read_card(CARDS["vtab-retinopathy"], tmp_path, data_dir=tmp_path / "data")
    assert dataset.name == "vtab-retinopathy"
    assert counts(dataset) == {
        **{(label, "train"): n for label, n in [("0", 267), ("1", 267), ("2", 266)]},
        **{(label, "val"): n for label, n in [("0", 67), ("1", 67), ("2", 66)]},
        **{(label, "test"): 30 for label in "012"},
    }


def test_images_of_a_class_without_a_training_image_are_set_aside(tmp_path):
    card = CARDS["vtab-sun397"]
    splits = {"train": 900, "validation": 250, "test": 60}
    classes = {"train": 2, "validation": 3, "test": 3}
    examples = {
        split: [{"image": [picture(place)], "label": [place % classes[split]]} for place in range(n)]
        for split, n in splits.items()
    }
    write_prepared(tmp_path / card.tfds / "4.0.0", "sun397", examples)
    listed = list(open_card(card, tmp_path, data_dir=tmp_path).list_files())
    aside = [file for file in listed if isinstance(file, SetAside)]
    assert [file.path for file in aside if file.path.startswith("test/")] == [f"test/{n:07d}" for n in range(2, 60, 3)]
    reason = "the 800 training images have none of its class: it is in "
    assert {file.reason for file in aside} == {f"{reason}val", f"{reason}test"}
    assert {file.label for file in listed if isinstance(file, ListedFile)} == {"0", "1"}


def test_sprites_are_black_and_white(tmp_path):
    """dsprites.py, `preprocess_fn`: pixels of 0 and 1 times 255."""
    card = CARDS["vtab-dsprites-location"]
    pixels = np.eye(4, dtype=np.uint8)
    example = {"image": [plain_png(pixels)], "label_x_position": [0], "label_orientation": [0]}
    write_prepared(tmp_path / "dsprites" / "2.0.0", "dsprites", {"train": [example]})
    with Image.open(io.BytesIO(open_card(card, tmp_path, data_dir=tmp_path).read("train/0000000"))) as image:
        assert np.array_equal(np.asarray(image), pixels * 255)


def test_too_few_images_are_one_sentence(tmp_path):
    card = CARDS["vtab-cifar-100"]
    examples = [{"image": [picture(place)], "label": [0]} for place in range(850)]
    write_prepared(tmp_path / "cifar100" / "3.0.2", "cifar100", {"train": examples, "test": examples[:10]})
    with pytest.raises(DataError, match=r"cifar100 has too few images for VTAB's 800 \+ 200"):
        list(open_card(card, tmp_path, data_dir=tmp_path).list_files())


@pytest.mark.parametrize("name", [name for name in TASKS if not CARDS[name].downloads])
def test_what_must_be_fetched_by_hand_says_how(name, tmp_path):
    with pytest.raises(DataError, match=r"cannot fetch VTAB-1k: .*: (fetch|prepare) .* give its folder as --data-dir"):
        list(open_card(CARDS[name], tmp_path).list_files())
