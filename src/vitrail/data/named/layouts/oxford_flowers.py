"""Oxford Flowers-102: jpg/image_<number>.jpg, with imagelabels.mat and setid.mat.

The layout is as torchvision 0.28 reads it: datasets/flowers102.py, lines 44 and 66 to 76. Images and labels are counted
from 1.
"""

from collections.abc import Iterator

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, read_needed
from vitrail.data.named.layouts.listing import Row, list_rows
from vitrail.data.named.mat_files import read_mat

LABELS, SETS = "imagelabels.mat", "setid.mat"
VARIABLES: dict[str, SplitName] = {"trnid": "train", "valid": "val", "tstid": "test"}
MOST_LIST_BYTES = 16 << 20


def list_oxford_flowers(tree: FileTree, card: DatasetCard) -> Iterator[ListedFile | SetAside]:
    """Every image of the three sets of numbers."""
    yield from list_rows(tree, _rows(tree, card), folder="jpg/", lists=SETS)


def _rows(tree: FileTree, card: DatasetCard) -> Iterator[Row]:
    (labels,) = _read(tree, LABELS, ["labels"])
    for numbers, split in zip(_read(tree, SETS, list(VARIABLES)), VARIABLES.values(), strict=True):
        for number in numbers:
            try:
                label = card.class_names[_counted_from_one(labels[_counted_from_one(number)])]
            except (IndexError, TypeError, ValueError) as error:
                raise DataError(
                    f"{LABELS} and {SETS} of {tree.where} do not fit together: fetch them again."
                ) from error
            yield f"jpg/image_{int(number):05d}.jpg", label, split


def _read(tree: FileTree, name: str, variables: list[str]) -> list[list[int]]:
    arrays = read_mat(read_needed(tree, name), variables, f"{name} of {tree.where}", most_bytes=MOST_LIST_BYTES)
    return [array.tolist() for array in arrays]


def _counted_from_one(number: int) -> int:
    """The place in a list of a number that counts from 1; IndexError for 0, which Python would count from the end."""
    if number < 1:
        raise IndexError(number)
    return int(number) - 1
