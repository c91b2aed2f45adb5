"""ImageNet-1k and ImageNet-V2. A label is the WordNet id with the first name of its synset: n01440764-tench.

ImageNet-1k is read as torchvision 0.28 reads it: datasets/imagenet.py, lines 119 to 220. Train is a tar of a tar for
each class, or train/<id>/. Val is val/<id>/, or a tar or folder of ILSVRC2012_val_<number>.JPEG. The classes of the
latter are in the devkit: line <number> of ILSVRC2012_validation_ground_truth.txt, a number that meta.mat gives to a
synset, and that is not the place among the outputs of classifiers. Val is the test here, as in papers: the official
test has no labels.

ImageNet-V2 is read as tensorflow/datasets 2cad51c reads it: image_classification/imagenet_v2.py, `_generate_examples`.
Its folders have the numbers 0 to 999, which are places in the order of the WordNet ids: 10 is the class after 9.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import PurePosixPath

from vitrail.core.errors import DataError
from vitrail.core.label_sets import imagenet_1k
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.named.cards import DatasetCard
from vitrail.data.named.file_tree import FileTree, TreeRanges, read_lines, read_needed
from vitrail.data.named.mat_files import read_mat
from vitrail.data.sources.local import as_on_disk, written
from vitrail.data.sources.tar import TarArchive

GROUND_TRUTH, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
TRAIN_TAR = re.compile(r"(n\d{8})\.tar")
IN_FOLDER = re.compile(r"(train|val)/(n\d{8})/.+")
VAL = re.compile(r"(?:val/)?ILSVRC2012_val_(\d{8})\.JPEG")
MOST_META_BYTES = 64 << 20


class ImageNetFiles:
    """Train, and val as the test."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        self._tree = tree

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """Every image; files of neither part, such as those of the devkit, are not images of the set."""
        yield from self._tree.aside
        name_of = name_synsets()
        for path in sorted(self._tree.names):
            if TRAIN_TAR.fullmatch(path):
                yield from self._list_tar(path, name_of)
            elif match := IN_FOLDER.fullmatch(path):
                yield _listed(path, match[2], name_of, is_train=match[1] == "train")
            elif match := VAL.fullmatch(path):
                if not 0 < int(match[1]) <= len(self._val_synsets):
                    yield SetAside(path=path, reason=f"{GROUND_TRUTH} has no line {int(match[1]):,} for it")
                else:
                    yield _listed(path, self._val_synsets[int(match[1]) - 1], name_of, is_train=False)

    def read(self, path: str) -> bytes:
        """The bytes of one image; raises OSError."""
        folder, slash, name = path.partition("/")
        if slash and TRAIN_TAR.fullmatch(folder):
            return self._tars[folder].read(as_on_disk(name))
        return self._tree.read(path)

    def _list_tar(self, path: str, name_of: dict[str, str]) -> Iterator[ListedFile | SetAside]:
        archive = self._tars[path]
        for aside in archive.aside:
            yield SetAside(path=f"{path}/{aside.path}", reason=aside.reason)
        for name in archive.members:
            yield _listed(f"{path}/{written(name)}", path.removesuffix(".tar"), name_of, is_train=True)

    @cached_property
    def _tars(self) -> dict[str, TarArchive]:
        names = filter(TRAIN_TAR.fullmatch, self._tree.names)
        return {name: TarArchive(TreeRanges(self._tree, name), name) for name in names}

    @cached_property
    def _val_synsets(self) -> list[str]:
        """The synset of each image of val, in the order of their numbers."""
        truth, meta = self._find(GROUND_TRUTH), self._find(META)
        (synsets,) = read_mat(read_needed(self._tree, meta), ["synsets"], meta, most_bytes=MOST_META_BYTES)
        try:
            leaves = {
                int(synset["ILSVRC2012_ID"]): str(synset["WNID"])
                for synset in synsets
                if int(synset["num_children"]) == 0
            }
            return [leaves[int(number)] for (number,) in read_lines(self._tree, truth)]
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise DataError(
                f"{GROUND_TRUTH} and {META} of {self._tree.where} do not fit together: fetch the devkit again."
            ) from error

    def _find(self, name: str) -> str:
        """The path of a file of the devkit."""
        paths = sorted(path for path in self._tree.names if PurePosixPath(path).name == name)
        if not paths:
            raise DataError(
                f"The images of val in {self._tree.where} are not in folders of classes, and there is no {name}: put "
                "the folder ILSVRC2012_devkit_t12, which says what their classes are, beside them."
            )
        return paths[0]


def list_imagenet_v2(tree: FileTree, card: DatasetCard) -> Iterator[ListedFile | SetAside]:
    """Every image; the folder is the place of the class."""
    ids, name_of = imagenet_1k().ids, name_synsets()
    (root,) = card.class_folders
    for path in sorted(tree.names):
        folder, slash, _ = path.removeprefix(f"{root}/").partition("/")
        if not slash or not path.startswith(f"{root}/"):
            continue
        if re.fullmatch(r"\d{1,3}", folder):
            yield ListedFile(path=path, label=name_of[ids[int(folder)]])
        else:
            yield SetAside(path=path, reason="its folder is not a number from 0 to 999")


def _listed(path: str, synset: str, name_of: dict[str, str], *, is_train: bool) -> ListedFile | SetAside:
    if synset not in name_of:
        return SetAside(path=path, reason=f"{synset} is not a class of ImageNet-1k")
    return ListedFile(path=path, label=name_of[synset], split="train" if is_train else "test")


def name_synsets() -> dict[str, str]:
    """The label of each class, by its WordNet id."""
    labels = imagenet_1k()
    return {synset: f"{synset}-{names[0]}" for synset, names in zip(labels.ids, labels.names, strict=True)}
