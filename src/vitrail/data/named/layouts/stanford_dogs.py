"""Stanford Dogs: Images/<synset>-<breed>/<id>.jpg, with train_list.mat, test_list.mat and Annotation/.

The layout is as tensorflow/datasets 0560e68 reads it: image_classification/stanford_dogs.py, `_split_generators` and
`_generate_examples`.
"""

import re
from collections.abc import Iterator, Mapping

from vitrail.core.errors import DataError
from vitrail.data.boxes import PixelBox
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, read_needed
from vitrail.data.named.layouts.listing import Row, list_rows
from vitrail.data.named.mat_files import read_mat
from vitrail.data.sources.local import written

LISTS: dict[str, SplitName] = {"train_list.mat": "train", "test_list.mat": "test"}
IMAGES, ANNOTATION = "Images/", "Annotation/"
MOST_LIST_BYTES = 64 << 20
CORNERS = ("xmin", "ymin", "xmax", "ymax")
OBJECT_BOX = re.compile(r"<bndbox>(.*?)</bndbox>", re.DOTALL)
CORNER = re.compile(r"<(xmin|ymin|xmax|ymax)>\s*(\d{1,6})(?:\.\d*)?\s*</\1>")


def list_stanford_dogs(tree: FileTree, card: DatasetCard) -> Iterator[ListedFile | SetAside]:
    """Every image of the two lists; the folder is the label."""
    yield from list_rows(tree, _rows(tree), folder=IMAGES, lists=" and ".join(LISTS))


def _rows(tree: FileTree) -> Iterator[Row]:
    for name, split in LISTS.items():
        (files,) = read_mat(
            read_needed(tree, name), ["file_list"], f"{name} of {tree.where}", most_bytes=MOST_LIST_BYTES
        )
        for file in files:
            yield IMAGES + written(str(file)), str(file).split("/")[0], split


def read_stanford_dogs_boxes(tree: FileTree) -> Mapping[str, PixelBox]:
    """The largest box of each image; Annotation/ has a file of XML for each, without an ending.

    Raises:
        DataError: there are no such files.
    """
    boxes = {}
    for name in tree.names:
        if name.startswith(ANNOTATION):
            found = list(_boxes_in(tree.read(name).decode(errors="replace")))
            if found:
                image = f"{IMAGES}{name.removeprefix(ANNOTATION)}.jpg"
                boxes[image] = max(found, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    if not boxes:
        raise DataError(f"{tree.where} has no boxes: unpack annotation.tar there too.")
    return boxes


def _boxes_in(text: str) -> Iterator[PixelBox]:
    for match in OBJECT_BOX.finditer(text):
        corners = {name: int(value) for name, value in CORNER.findall(match[1])}
        if len(corners) == len(CORNERS):
            left, top, right, bottom = (corners[name] for name in CORNERS)
            yield left, top, right, bottom
