"""VTAB-1k: 800 images for training, 200 of val and the test of each of 19 tasks, which `vtab.TASKS` describes.

Either TensorFlow Datasets has prepared a data set, or its official files are here, or lists (`vtab_lists.py`). The
first two give the same images, since the order that TensorFlow Datasets gives to examples follows from their keys. Some
cards have no official files: which of Caltech-101's images are train depends on the order in which a disk lists a
folder, and OpenCV has changed the images of SUN397 and Retinopathy.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.named.cards import DatasetCard, load_dataset_cards
from vitrail.data.named.file_tree import FileTree
from vitrail.data.named.layouts.cifar import CifarFiles
from vitrail.data.named.layouts.class_folders import list_class_folders
from vitrail.data.named.layouts.clevr import ClevrRows
from vitrail.data.named.layouts.dmlab import DmlabRows
from vitrail.data.named.layouts.dsprites import DspritesRows, brighten
from vitrail.data.named.layouts.dtd import list_dtd
from vitrail.data.named.layouts.kitti import KittiRows
from vitrail.data.named.layouts.listed_rows import ListedRows
from vitrail.data.named.layouts.oxford_flowers import list_oxford_flowers
from vitrail.data.named.layouts.oxford_pets import list_oxford_pets
from vitrail.data.named.layouts.patch_camelyon import PatchCamelyonRows
from vitrail.data.named.layouts.smallnorb import SmallNorbRows
from vitrail.data.named.layouts.svhn import SvhnFiles
from vitrail.data.named.layouts.tfds import PreparedRows, is_prepared
from vitrail.data.named.layouts.vtab_lists import VtabLists, find_lists
from vitrail.data.named.vtab import TASKS, TRAIN_IMAGES, UNTRAINED, VAL_IMAGES
from vitrail.data.sources.local import clean_text


class Rows(Protocol):
    """The examples of each split of TensorFlow Datasets, in its order."""

    def order(self, split: str) -> Sequence[str]:
        """The path of each example; raises a DataError if the files cannot be read."""

    def features(self, path: str) -> Mapping[str, Sequence[Any]]:
        """What an example says, under the names of TensorFlow Datasets; raises OSError."""

    def read(self, path: str) -> bytes:
        """The image of an example; raises OSError."""


def _number(file: ListedFile) -> str:
    """CIFAR's and SVHN's key: the number of the image in its split."""
    return str(int(file.path.rpartition("/")[2].removesuffix(".png")))


def _file_name(file: ListedFile) -> str:
    """The key of Flowers and Pets."""
    return file.path.rpartition("/")[2]


def _with_folder(file: ListedFile) -> str:
    """DTD's key: the class and the name."""
    return file.path.removeprefix("dtd/images/")


def _after_label(file: ListedFile) -> str:
    """EuroSAT's and RESISC45's key."""
    return f"{file.label}_{_file_name(file)}"


def _listed(lister: Callable[..., Iterator[ListedFile | SetAside]], key: Callable[[ListedFile], str]) -> Any:
    return lambda tree, card: ListedRows(lister(tree, card), tree.read, key)


def _cifar(tree: FileTree, card: DatasetCard) -> Rows:
    files = CifarFiles(tree, card)
    return ListedRows(files.list_files(), files.read, _number)


def _svhn(tree: FileTree, card: DatasetCard) -> Rows:
    files = SvhnFiles(tree, card)
    return ListedRows(files.list_files(), files.read, _number)


# How the official files of a task are read.
OFFICIAL: Mapping[str, Callable[[FileTree, DatasetCard], Rows]] = {
    "vtab-cifar-100": _cifar,
    "vtab-dtd": _listed(list_dtd, _with_folder),
    "vtab-oxford-flowers-102": _listed(list_oxford_flowers, _file_name),
    "vtab-oxford-pets": _listed(list_oxford_pets, _file_name),
    "vtab-svhn": _svhn,
    "vtab-eurosat": _listed(list_class_folders, _after_label),
    "vtab-patch-camelyon": PatchCamelyonRows,
    "vtab-resisc45": _listed(list_class_folders, _after_label),
    "vtab-clevr-count": ClevrRows,
    "vtab-clevr-distance": ClevrRows,
    "vtab-dmlab": DmlabRows,
    "vtab-kitti-distance": KittiRows,
    "vtab-dsprites-location": DspritesRows,
    "vtab-dsprites-orientation": DspritesRows,
    "vtab-smallnorb-azimuth": SmallNorbRows,
    "vtab-smallnorb-elevation": SmallNorbRows,
}


class TaskImages(Protocol):
    """The images of one task."""

    def parts(self) -> Mapping[SplitName, Sequence[str]]:
        """The paths of train, val and test; raises a DataError if the files cannot be read."""

    def label(self, path: str) -> int | str:
        """The label of one image; raises OSError if it cannot be read."""

    def read(self, path: str) -> bytes:
        """The bytes of one image; raises OSError."""


class TaskRows:
    """The images of one task among those of a data set."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        self._task, self._where, prepared = TASKS[card.name], tree.where, is_prepared(tree)
        described = load_dataset_cards().get(card.files_of, card)
        self._rows: Rows = PreparedRows(tree) if prepared else OFFICIAL[card.name](tree, described)
        self._is_dim = prepared and card.name.startswith("vtab-dsprites")

    def parts(self) -> Mapping[SplitName, Sequence[str]]:
        """The first 800 of train, 200 of val and the test.

        Raises:
            DataError: there are too few images.
        """
        train = self._rows.order("train")
        val, test = self._rows.order(self._task.val.split), self._rows.order(self._task.test.split)
        val_start, test_start = self._task.val.start(len(val)), self._task.test.start(len(test))
        parts: dict[SplitName, Sequence[str]] = {
            "train": train[:TRAIN_IMAGES],
            "val": val[val_start : val_start + VAL_IMAGES],
            "test": test[test_start:],
        }
        if len(set().union(*parts.values())) < sum(map(len, parts.values())) or len(parts["val"]) < VAL_IMAGES:
            raise DataError(
                f"{self._where} has too few images for VTAB's {TRAIN_IMAGES} + {VAL_IMAGES}: fetch all its files."
            )
        return parts

    def label(self, path: str) -> int | str:
        """The label that the task's rule gives an image.

        Raises:
            OSError: it cannot be read.
        """
        try:
            return self._task.rule(self._rows.features(path))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise OSError(0, f"what is said of it does not have the task's features: {error}") from error

    def read(self, path: str) -> bytes:
        """The image of one example; raises OSError."""
        data = self._rows.read(path)
        return brighten(data) if self._is_dim else data


class VtabFiles:
    """The images of one task, from a data set or from lists."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        self._aside, folder = tree.aside, find_lists(tree)
        self._images: TaskImages = TaskRows(tree, card) if folder is None else VtabLists(tree, folder)

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """The images of train, val and test; those of classes without a training image are set aside."""
        yield from self._aside
        trained: set[str] = set()
        for split, paths in self._images.parts().items():
            for path in paths:
                try:
                    label = clean_text(str(self._images.label(path)))
                except OSError as error:
                    yield SetAside(path=path, reason=f"its label cannot be read ({error.strerror})")
                    continue
                if split == "train":
                    trained.add(label)
                if label in trained:
                    yield ListedFile(path=path, label=label, split=split)
                else:
                    yield SetAside(path=path, reason=f"{UNTRAINED}: it is in {split}")

    def read(self, path: str) -> bytes:
        """The image of one example; raises OSError."""
        return self._images.read(path)
