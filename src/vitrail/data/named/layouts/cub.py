"""CUB-200-2011: CUB_200_2011/images/<class>/<name>.jpg, with lists that number the images.

The layout is as tensorflow/datasets 022193c reads it: image_classification/caltech_birds.py, `CaltechBirds2011`. In
train_test_split.txt 1 means train; bounding_boxes.txt has left, top, width and height; the folder is the class.
"""

from collections.abc import Iterator, Mapping

from vitrail.core.errors import DataError
from vitrail.data.boxes import PixelBox
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, read_lines
from vitrail.data.named.layouts.listing import Row, list_rows

ROOT = "CUB_200_2011/"
IMAGES = f"{ROOT}images/"


def list_cub(tree: FileTree, card: DatasetCard) -> Iterator[ListedFile | SetAside]:
    """Every image of images.txt, in its split."""
    yield from list_rows(tree, _rows(tree), folder=IMAGES, lists="images.txt")


def _rows(tree: FileTree) -> Iterator[Row]:
    is_train = {number: flag == "1" for number, flag in _numbered(tree, "train_test_split.txt", 1)}
    for number, path in _numbered(tree, "images.txt", 1):
        if number not in is_train:
            raise DataError(f"train_test_split.txt of {tree.where} lacks image {number}: fetch its files again.")
        yield IMAGES + path, path.split("/")[0], "train" if is_train[number] else "test"


def read_cub_boxes(tree: FileTree) -> Mapping[str, PixelBox]:
    """The box of each image; a pixel that it touches is in it."""
    path = dict(_numbered(tree, "images.txt", 1))
    boxes = {}
    for number, *sides in _numbered(tree, "bounding_boxes.txt", 4):
        try:
            left, top, width, height = map(float, sides)
            boxes[IMAGES + path[number]] = (int(left), int(top), int(left + width), int(top + height))
        except (ValueError, KeyError, OverflowError) as error:
            raise DataError(f"bounding_boxes.txt of {tree.where} is damaged at {number}: fetch it again.") from error
    return boxes


def _numbered(tree: FileTree, name: str, values: int) -> Iterator[list[str]]:
    """The lines of a list: the image's number, and so many values."""
    for words in read_lines(tree, ROOT + name):
        if len(words) != 1 + values:
            raise DataError(f"{name} of {tree.where} has a line of {len(words)} words: fetch its files again.")
        yield words
