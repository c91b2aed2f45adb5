"""Describable Textures: dtd/images/<class>/<name>.jpg, with dtd/labels/train1.txt, val1.txt and test1.txt.

The layout is as torchvision 0.28 reads it: datasets/dtd.py, lines 57 to 79. There are ten official splits; the first
is used.
"""

from collections.abc import Iterator

from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, read_lines
from vitrail.data.named.layouts.listing import Row, list_rows

LISTS: dict[str, SplitName] = {"train1.txt": "train", "val1.txt": "val", "test1.txt": "test"}
IMAGES = "dtd/images/"


def list_dtd(tree: FileTree, card: DatasetCard) -> Iterator[ListedFile | SetAside]:
    """Every image of the three lists; the folder is the label."""
    yield from list_rows(tree, _rows(tree), folder=IMAGES, lists="the lists of the first split")


def _rows(tree: FileTree) -> Iterator[Row]:
    for name, split in LISTS.items():
        for path, *_ in read_lines(tree, f"dtd/labels/{name}"):
            yield IMAGES + path, path.split("/")[0], split
