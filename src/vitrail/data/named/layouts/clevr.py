"""CLEVR: CLEVR_v1.0/images/<split>/<name>.png, with CLEVR_v1.0/scenes/CLEVR_<split>_scenes.json.

The layout is as tensorflow/datasets 10df6c2 reads it: image/clevr.py, `_generate_examples`. The test has no scenes, and
VTAB's test is val, which TensorFlow Datasets calls validation.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vitrail.core.bounded import parse_json
from vitrail.core.errors import DataError
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, read_needed
from vitrail.data.named.layouts.tfds import prepared_order

ROOT = "CLEVR_v1.0/"
SPLITS = {"train": "train", "validation": "val"}


class ClevrRows:
    """The examples; their key is the file's name."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        self._tree = tree
        self._objects: dict[str, tuple[int, list[float]]] = {}  # their number and places in pixels, by path
        self._names = {split: self._read_scenes(folder) for split, folder in SPLITS.items()}

    def order(self, split: str) -> Sequence[str]:
        """The paths of a split's images, in the order of TensorFlow Datasets."""
        names = self._names[split]
        return [f"{ROOT}images/{SPLITS[split]}/{names[place]}" for place in prepared_order(names, split)]

    def features(self, path: str) -> dict[str, list[Any]]:
        """A size for each object, of which only the number counts, and the objects' places; raises OSError."""
        if path not in self._objects:
            raise OSError(0, "it is not an image with a scene")
        number, places = self._objects[path]
        return {"objects/size": [0] * number, "objects/pixel_coords": places}

    def read(self, path: str) -> bytes:
        """The bytes of one image; raises OSError."""
        return self._tree.read(path)

    def _read_scenes(self, folder: str) -> list[str]:
        """The names of the images of a folder, whose objects are kept."""
        name = f"{ROOT}scenes/CLEVR_{folder}_scenes.json"
        names: list[str] = []
        try:
            for scene in parse_json(read_needed(self._tree, name))["scenes"]:
                objects = [place for item in scene["objects"] for place in item["pixel_coords"]]
                places = np.asarray(objects, np.float32).reshape(len(scene["objects"]), 3)
                names.append(str(scene["image_filename"]))
                path = f"{ROOT}images/{folder}/{names[-1]}"
                if path in self._tree.names:
                    self._objects[path] = len(places), places.flatten().tolist()
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{name} of {self._tree.where} is not a list of scenes: fetch it again.") from error
        return names
