"""A data set that TensorFlow Datasets has prepared: <builder>/<version>/<builder>-<split>.tfrecord-<shard>-of-<shards>.

Each record has the image as a file, and the label as a number, whose name is a line of label.labels.txt. The layout is
as tensorflow/datasets 0d456ae writes it: core/tfrecords_writer.py, core/naming.py, core/features/.

Records are in the order that the keys of the examples give (`prepared_order`), which never changes: VTAB's 1,000 images
are the first of that order.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import md5

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, read_needed
from vitrail.data.named.tfrecords import Example, Record, find_records
from vitrail.data.sources.local import clean_text

INFO = "dataset_info.json"
SHARD = re.compile(r"(?P<folder>(?:.*/)?)[^/]+?-(?P<split>[^/-]+)\.tfrecord-(?P<number>\d{5,})-of-(?P<all>\d{5,})")
PATH = re.compile(r"([^/]+)/(\d{7})")
LABEL_NAMES = "label.labels.txt"
SPLITS: dict[str, SplitName] = {"train": "train", "validation": "val", "test": "test"}
VALIDATION_IS_TEST: dict[str, SplitName] = {"train": "train", "validation": "test"}


def is_prepared(tree: FileTree) -> bool:
    """Whether TensorFlow Datasets prepared these files."""
    return bool(_list_versions(tree))


def prepared_order(keys: Iterable[str | bytes | int], split: str) -> list[int]:
    """The order in which TensorFlow Datasets writes the examples of a split, as their places among `keys`.

    It sorts by the md5 of the split's name and the example's key. Source: tensorflow/datasets 0d456ae,
    core/hashing.py, `Hasher`, and core/shuffle.py.
    """
    salted = md5(split.encode(), usedforsecurity=False)

    def digest(key: str | bytes | int) -> bytes:
        hasher = salted.copy()
        hasher.update(key if isinstance(key, bytes) else str(key).encode())
        return hasher.digest()

    digests = [digest(key) for key in keys]
    return sorted(range(len(digests)), key=digests.__getitem__)


class PreparedRows:
    """The examples of each split, in their order. The path of one is <split>/<number>."""

    def __init__(self, tree: FileTree) -> None:
        """List the shards; of several versions the newest is read.

        Raises:
            DataError: shards are missing.
        """
        self._tree = tree
        self._folder = max(_list_versions(tree), key=_version)
        self._shards: dict[str, list[str]] = defaultdict(list)
        for name in sorted(tree.names):
            match = SHARD.fullmatch(name)
            if match and match["folder"] == self._folder:
                self._shards[match["split"]].append(name)
        for split, names in self._shards.items():
            match = SHARD.fullmatch(names[0])
            if match and len(names) != int(match["all"]):
                raise DataError(
                    f"{tree.where} has {len(names)} of {int(match['all'])} shards of {split}: prepare or copy it again."
                )
        self._records: dict[str, list[Record]] = {}

    @property
    def splits(self) -> Sequence[str]:
        """The names of the splits."""
        return list(self._shards)

    @cached_property
    def label_names(self) -> list[str]:
        """The classes' names, in the order of their numbers; empty if they have none."""
        name = self._folder + LABEL_NAMES
        if name not in self._tree.names:
            return []
        return [line.strip() for line in read_needed(self._tree, name).decode(errors="replace").splitlines()]

    def order(self, split: str) -> Sequence[str]:
        """The paths of a split's examples, in their order; raises a DataError if it is damaged or missing."""
        return [f"{split}/{number:07d}" for number in range(len(self._records_of(split)))]

    def features(self, path: str) -> Example:
        """What an example says; a label that has a name is the name. Raises OSError."""
        example = self._read(path)
        if self.label_names and example.get("label"):
            (number,) = example["label"]
            if not 0 <= number < len(self.label_names):
                raise OSError(0, f"{LABEL_NAMES} has no line for its label {number}")
            example["label"] = [self.label_names[number]]
        return example

    def read(self, path: str) -> bytes:
        """The image of an example; raises OSError."""
        image = self._read(path).get("image")
        if not image or not isinstance(image[0], bytes):
            raise OSError(0, "the example has no image")
        return image[0]

    def _read(self, path: str) -> Example:
        match = PATH.fullmatch(path)
        if match is None or match[1] not in self._shards or int(match[2]) >= len(self._records_of(match[1])):
            raise OSError(0, "there is no such example")
        return self._records_of(match[1])[int(match[2])].read(self._tree)

    def _records_of(self, split: str) -> list[Record]:
        if split not in self._shards:
            raise DataError(f"{self._tree.where} has no split {split}: prepare or copy it again.")
        if split not in self._records:
            self._records[split] = [record for name in self._shards[split] for record in find_records(self._tree, name)]
        return self._records[split]


class PreparedFiles:
    """A whole data set. If only validation has labels, as for ImageNet, it is the test.

    `renamed` has other names for classes, for data sets whose classes are named otherwise in their official files.
    """

    def __init__(self, tree: FileTree, card: DatasetCard, renamed: Mapping[str, str]) -> None:
        self._rows, self._card, self._renamed = PreparedRows(tree), card, renamed

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """Every example of the splits that are used."""
        unused = {name.casefold() for name in self._card.without_classes}
        is_split = bool(set(self._card.counts) - {"all"})  # else the split is not an official one
        for name in self._rows.splits:
            split = self._meaning_of(name)
            if split is None:
                yield SetAside(path=name, reason=f"the split {name} is not used")
                continue
            for path in self._rows.order(name):
                try:
                    label = clean_text(str(self._rows.features(path)["label"][0]))
                except (OSError, KeyError, IndexError) as error:
                    yield SetAside(path=path, reason=f"its label cannot be read ({error})")
                    continue
                if label.casefold() in unused:
                    yield SetAside(path=path, reason=f"{label} is not a class of {self._card.title}")
                else:
                    given = split if is_split else None
                    yield ListedFile(path=path, label=self._renamed.get(label, label), split=given)

    def read(self, path: str) -> bytes:
        """The image of one example; raises OSError."""
        return self._rows.read(path)

    def _meaning_of(self, name: str) -> SplitName | None:
        """The split that one of TensorFlow Datasets stands for; None if it is not used."""
        only_validation = "val" not in self._card.counts and "test" in self._card.counts
        is_test = only_validation and "validation" in self._rows.splits
        return (VALIDATION_IS_TEST if is_test else SPLITS).get(name)


def _list_versions(tree: FileTree) -> set[str]:
    """The folders with records that TensorFlow Datasets finished, with a slash at the end."""
    folders = {match["folder"] for name in tree.names if (match := SHARD.fullmatch(name))}
    return {folder for folder in folders if folder + INFO in tree.names}


def _version(folder: str) -> tuple[int, ...]:
    """The numbers of a version folder, such as 3.0.2/; other folders come first."""
    words = folder.rstrip("/").rpartition("/")[2].split(".")
    return tuple(int(word) for word in words) if all(word.isdigit() for word in words) else ()
