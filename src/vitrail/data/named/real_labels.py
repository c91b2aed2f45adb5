"""The reassessed labels of ImageNet's val ("ReaL"): real.json, a list of the right classes of each image.

Source: google-research/reassessed-imagenet bcd006f, README.md, "real.json": the first list is of
ILSVRC2012_val_00000001.JPEG. A class is its place in the order of the WordNet ids. A list may be empty.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from vitrail.core.bounded import parse_json
from vitrail.core.errors import DataError
from vitrail.core.label_sets import imagenet_1k

CARD = "imagenet-real"
VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.jpe?g", re.IGNORECASE)

RealLabels = Sequence[frozenset[int]]


def parse_real_labels(content: bytes, where: str) -> RealLabels:
    """The right classes of each image of val, in the order of their numbers.

    Raises:
        DataError: the file is not such a list; `where` is its name in the message.
    """
    try:
        labels = [frozenset(map(int, classes)) for classes in parse_json(content)]
    except (ValueError, TypeError) as error:
        raise DataError(f"{where} is not a list of labels for each image: fetch real.json again.") from error
    if not all(0 <= label < len(imagenet_1k().ids) for classes in labels for label in classes):
        raise DataError(f"{where} has classes that ImageNet-1k does not have: fetch real.json again.")
    return labels


def number_in_val(path: str) -> int | None:
    """The number of an image of ImageNet's val, from 1, by its file name; None if it has another name."""
    match = VAL_NAME.fullmatch(PurePosixPath(path).name)
    return int(match[1]) if match else None
