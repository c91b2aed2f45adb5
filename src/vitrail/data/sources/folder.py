"""A folder of images: the name of the first folder is the label.

    root/cat/1.jpg              label cat; so is root/cat/kittens/2.jpg
    root/train/cat/1.jpg        the same with a split, where train, val and test lie on top

Names of splits, in any case: train, training; val, valid, validation; test, testing; calibration. They are splits if
there are no other folders beside them, or if train and at least one more exist; then everything outside is set aside.
So a class of railway images may be called "train".

Every file is a candidate whatever its name; its bytes decide what it is. `walk.py` has the list of system files that
are skipped.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.sources.local import class_name, read_listed, written
from vitrail.data.sources.walk import Parts, list_folder, walk, written_path

SPLIT_WORDS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "calibration": "calibration",
}


class FolderSource:
    """Images in one folder a class."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def name(self) -> str:
        """The folder's own name."""
        return written(self._root.resolve().name) or "data"

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """Every file under the folder with its label, or the reason why it has none; DataError for a locked folder."""
        try:
            tops, *strays = list_folder(self._root)
        except OSError as error:
            raise DataError(f"The folder {self._root} cannot be listed: {error.strerror}.") from error
        splits = split_folders(tops)
        yield from _outside(((name,) for name in chain(*strays)), "it is not in a class folder")
        for top in tops:
            if not splits:
                yield from self._list_class((top,), None)
            elif split := splits.get(top):
                yield from self._list_split(top, split)
            else:
                beside = ", ".join(written(name) for name in splits)
                yield from _outside(walk(self._root, (top,)), f"it is outside the folders {beside}")

    def read(self, path: str) -> bytes:
        """The bytes of one file."""
        return read_listed(self._root, path)

    def _list_split(self, top: str, split: SplitName) -> Iterator[ListedFile | SetAside]:
        try:
            classes, *strays = list_folder(self._root, (top,))
        except OSError as error:
            yield SetAside(path=written(top), reason=f"the folder cannot be listed: {error.strerror}")
            return
        yield from _outside(
            ((top, name) for name in chain(*strays)), f"it is in {written(top)} but not in a class folder"
        )
        for name in classes:
            yield from self._list_class((top, name), split)

    def _list_class(self, folder: Parts, split: SplitName | None) -> Iterator[ListedFile | SetAside]:
        label, empty = class_name(folder[-1]), True
        for parts in walk(self._root, folder):
            empty = False
            if isinstance(parts, SetAside):
                yield parts
            else:
                yield ListedFile(path=written_path(parts), label=label, split=split)
        if empty:
            yield SetAside(path=written_path(folder), reason="the folder of this class is empty")


def split_folders(tops: Sequence[str]) -> dict[str, SplitName]:
    """The top folders that name a split; empty if they are classes."""
    splits = {top: SPLIT_WORDS[top.lower()] for top in tops if top.lower() in SPLIT_WORDS}
    beyond_doubt = "train" in splits.values() and len(set(splits.values())) > 1
    return splits if len(splits) == len(tops) or beyond_doubt else {}


def _outside(paths: Iterator[Parts | SetAside], reason: str) -> Iterator[SetAside]:
    for parts in paths:
        yield parts if isinstance(parts, SetAside) else SetAside(path=written_path(parts), reason=reason)
