"""How the files of each named data set say which images it has, with which labels, in which split.

A layout gives a `Layout` for a tree of files and a card. To add one, write a file here and a line in LAYOUTS.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from vitrail.core.errors import DataError
from vitrail.data.boxes import PixelBox
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, TreeRanges
from vitrail.data.named.layouts.cifar import CifarFiles
from vitrail.data.named.layouts.class_folders import list_class_folders
from vitrail.data.named.layouts.cub import list_cub, read_cub_boxes
from vitrail.data.named.layouts.dtd import list_dtd
from vitrail.data.named.layouts.food101 import list_food101
from vitrail.data.named.layouts.imagenet import ImageNetFiles, list_imagenet_v2, name_synsets
from vitrail.data.named.layouts.oxford_flowers import list_oxford_flowers
from vitrail.data.named.layouts.oxford_pets import list_oxford_pets
from vitrail.data.named.layouts.stanford_dogs import list_stanford_dogs, read_stanford_dogs_boxes
from vitrail.data.named.layouts.svhn import SvhnFiles
from vitrail.data.named.layouts.tfds import PreparedFiles, is_prepared
from vitrail.data.named.layouts.vtab import VtabFiles
from vitrail.data.sources.parquet import ParquetSource


class Layout(Protocol):
    """The images of a data set; its functions are those of a `Source`."""

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """Every image with its label and split, or the reason why it has none."""

    def read(self, path: str) -> bytes:
        """The bytes of one image; raises OSError."""


Lister = Callable[[FileTree, DatasetCard], Iterator[ListedFile | SetAside]]


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """A layout whose images are files of the tree."""

    lister: Lister
    tree: FileTree
    card: DatasetCard

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """Every image with its label and split, or the reason why it has none."""
        yield from self.tree.aside
        yield from self.lister(self.tree, self.card)

    def read(self, path: str) -> bytes:
        """The bytes of one image; raises OSError."""
        return self.tree.read(path)


def _image_files(lister: Lister) -> Callable[[FileTree, DatasetCard], Layout]:
    return lambda tree, card: ImageFiles(lister, tree, card)


def _parquet(tree: FileTree, card: DatasetCard) -> Layout:
    return ParquetSource({name: partial(TreeRanges, tree, name) for name in tree.names}, card.title)


LAYOUTS: Mapping[str, Callable[[FileTree, DatasetCard], Layout]] = {
    "cifar": CifarFiles,
    "class-folders": _image_files(list_class_folders),
    "cub": _image_files(list_cub),
    "dtd": _image_files(list_dtd),
    "food-101": _image_files(list_food101),
    "imagenet": ImageNetFiles,
    "imagenet-v2": _image_files(list_imagenet_v2),
    "oxford-flowers": _image_files(list_oxford_flowers),
    "oxford-pets": _image_files(list_oxford_pets),
    "parquet": _parquet,
    "stanford-dogs": _image_files(list_stanford_dogs),
    "svhn": SvhnFiles,
    "vtab": VtabFiles,
}

# The box of each image by its path, for the layouts that have boxes.
BOXES: Mapping[str, Callable[[FileTree], Mapping[str, PixelBox]]] = {
    "cub": read_cub_boxes,
    "stanford-dogs": read_stanford_dogs_boxes,
}


def open_layout(tree: FileTree, card: DatasetCard) -> Layout:
    """The images of a data set, in its official files or as TensorFlow Datasets has prepared it.

    Raises:
        DataError: the data set has no images.
    """
    if not card.layout:
        raise DataError(f"{card.title} has no images of its own. {card.split.capitalize()}.")
    if not is_prepared(tree) or card.layout == "vtab":
        return LAYOUTS[card.layout](tree, card)
    return PreparedFiles(tree, card, name_synsets() if card.layout.startswith("imagenet") else {})
