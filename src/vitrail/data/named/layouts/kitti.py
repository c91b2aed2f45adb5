"""KITTI's objects: training/image_2/<number>.png with training/label_2/<number>.txt, and the devkit's mapping/.

The layout and the split by video are as tensorflow/datasets 0acf31d reads them: object_detection/kitti.py,
`_parse_kitti_annotations` and `_build_splits`. The official test images have no labels.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from vitrail.core.errors import DataError
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, read_lines, read_needed
from vitrail.data.named.layouts.tfds import prepared_order

IMAGES, LABELS = "training/image_2/", "training/label_2/"
PLACES, VIDEOS = "mapping/train_rand.txt", "mapping/train_mapping.txt"
TYPES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc")
UNLABELLED = "DontCare"
WORDS, LOCATION = 15, slice(11, 14)  # of a line
SEED, PERCENT = 123, 10  # of the videos in validation, and as many in test
NUMBER = re.compile(r"(\d{6})\.png")


class KittiRows:
    """The examples; their key is the file's name."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        self._tree = tree
        numbers = {
            int(match[1]): path
            for path in tree.names
            if path.startswith(IMAGES) and (match := NUMBER.fullmatch(path.removeprefix(IMAGES)))
        }
        self._paths = {
            split: sorted(numbers[number] for number in chosen if number in numbers)
            for split, chosen in _split_by_video(tree).items()
        }

    def order(self, split: str) -> Sequence[str]:
        """The paths of a split's images, in the order of TensorFlow Datasets."""
        paths = self._paths[split]
        return [paths[place] for place in prepared_order([path.removeprefix(IMAGES) for path in paths], split)]

    def features(self, path: str) -> dict[str, list[Any]]:
        """The type and the place of each object; raises OSError."""
        kinds: list[int] = []
        places: list[float] = []
        name = f"{LABELS}{path.removeprefix(IMAGES).removesuffix('.png')}.txt"
        for words in read_lines(self._tree, name):
            if words[0] != UNLABELLED:
                if len(words) != WORDS or words[0] not in TYPES:
                    raise OSError(0, f"{name} has a line that is not an object")
                kinds.append(TYPES.index(words[0]))
                places += np.asarray(words[LOCATION], np.float32).tolist()
        return {"objects/type": kinds, "objects/location": places}

    def read(self, path: str) -> bytes:
        """The bytes of one image; raises OSError."""
        return self._tree.read(path)


def _split_by_video(tree: FileTree) -> dict[str, list[int]]:
    """The numbers of the images of each split: no video is in two of them."""
    try:
        lines = read_lines(tree, VIDEOS)
        places = [int(place) - 1 for place in read_needed(tree, PLACES).decode().split(",")]
        images: dict[str, list[int]] = defaultdict(list)
        for image, place in enumerate(places):
            images[lines[place][1]].append(image)
    except (ValueError, IndexError) as error:
        raise DataError(f"{PLACES} and {VIDEOS} of {tree.where} do not fit together: fetch them again.") from error
    random, number = np.random.RandomState(SEED), max(1, PERCENT * len(images) // 100)
    test = set(random.choice(sorted(images), number, replace=False).tolist())
    validation = set(random.choice(sorted(set(images) - test), number, replace=False).tolist())
    splits: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for video, numbers in images.items():
        splits["test" if video in test else "validation" if video in validation else "train"] += numbers
    return splits
