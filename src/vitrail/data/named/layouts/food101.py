"""Food-101: food-101/images/<class>/<number>.jpg, with meta/train.json and meta/test.json.

The layout is as torchvision 0.28 reads it: datasets/food101.py, lines 49 to 74. The JSON has a list of paths without
ending for each class.
"""

from collections.abc import Iterator

from vitrail.core.bounded import parse_json
from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, read_needed
from vitrail.data.named.layouts.listing import Row, list_rows
from vitrail.data.sources.local import written

LISTS: dict[str, SplitName] = {"train.json": "train", "test.json": "test"}
IMAGES = "food-101/images/"


def list_food101(tree: FileTree, card: DatasetCard) -> Iterator[ListedFile | SetAside]:
    """Every image of the two lists."""
    yield from list_rows(tree, _rows(tree), folder=IMAGES, lists=" and ".join(LISTS))


def _rows(tree: FileTree) -> Iterator[Row]:
    for name, split in LISTS.items():
        try:
            document = parse_json(read_needed(tree, f"food-101/meta/{name}"))
            rows = [(f"{IMAGES}{written(path)}.jpg", label) for label, paths in document.items() for path in paths]
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(
                f"{name} of {tree.where} is not a list of images by class: fetch its files again."
            ) from error
        yield from ((path, label, split) for path, label in rows)
