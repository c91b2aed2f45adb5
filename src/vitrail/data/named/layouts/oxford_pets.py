"""Oxford-IIIT Pets: images/<breed>_<number>.jpg, with annotations/trainval.txt and test.txt.

The layout is as torchvision 0.28 reads it: datasets/oxford_iiit_pet.py, lines 73 to 96. A line has the file's name
without its ending, and three numbers.
"""

from collections.abc import Iterator

from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, read_lines
from vitrail.data.named.layouts.listing import Row, list_rows

LISTS: dict[str, SplitName] = {"trainval.txt": "train", "test.txt": "test"}


def list_oxford_pets(tree: FileTree, card: DatasetCard) -> Iterator[ListedFile | SetAside]:
    """Every image of the two lists; the label is its name without the number."""
    yield from list_rows(tree, _rows(tree), folder="images/", lists=" and ".join(LISTS))


def _rows(tree: FileTree) -> Iterator[Row]:
    for name, split in LISTS.items():
        for image, *_ in read_lines(tree, f"annotations/{name}"):
            yield f"images/{image}.jpg", image.rpartition("_")[0], split
