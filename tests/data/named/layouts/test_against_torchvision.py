"""What torchvision makes of unpacked archives and what Vitrail makes of the same folders: the same images and labels.

torchvision's own classes read the miniatures; only the digests of the true files are taken out of them.
"""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data.named.layouts import (
    test_cifar,
    test_class_folders,
    test_dtd,
    test_food101,
    test_oxford_flowers,
    test_oxford_pets,
    test_svhn,
)
from tests.data.named.layouts.miniature import jpeg, open_card, read_card, rows, tar_bytes
from tests.references import torchvision
from vitrail.data.named.cards import load_dataset_cards

Labelled = dict[str, tuple[str, str | None]]  # label and split by the path below the folder


@pytest.fixture(scope="module")
def library() -> Any:
    torchvision()
    from torchvision import datasets

    return datasets


def unpack(files: dict[str, bytes], folder: Path) -> None:
    """As torchvision does: archives are extracted into the folder, other files are stored there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if name.endswith((".tar", ".tar.gz", ".tgz")):
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                archive.extractall(folder, filter="data")
        elif name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(folder)
        else:
            (folder / name).write_bytes(content)


def from_lists(made: Any, root: Path, split: str, name: Callable[[int], str]) -> Labelled:
    """The images of a class of torchvision that holds a list of files and one of labels."""
    files = getattr(made, "_image_files", None) or made._images
    return {
        Path(file).relative_to(root).as_posix(): (name(label), split)
        for file, label in zip(files, made._labels, strict=True)
    }


def read_pets(library: Any, root: Path) -> Labelled:
    unpack(test_oxford_pets.archives(), root / "oxford-iiit-pet")
    found: Labelled = {}
    for theirs, ours in (("trainval", "train"), ("test", "test")):
        made = library.OxfordIIITPet(root, split=theirs)
        breeds = {breed.lower(): breed for breed in test_oxford_pets.BREEDS}
        names = [breeds[title.replace(" ", "_").lower()] for title in made.classes]
        found |= from_lists(made, root / "oxford-iiit-pet", ours, names.__getitem__)
    return found


def read_flowers(library: Any, root: Path) -> Labelled:
    unpack(test_oxford_flowers.archives(), root / "flowers-102")

    files = {key: (name, None) for key, (name, _) in library.Flowers102._file_dict.items()}
    flowers = type("Flowers", (library.Flowers102,), {"_file_dict": files})
    return {
        path: entry
        for split in ("train", "val", "test")
        for path, entry in from_lists(
            flowers(root, split=split), root / "flowers-102", split, library.Flowers102.classes.__getitem__
        ).items()
    }


def read_food(library: Any, root: Path) -> Labelled:
    unpack(test_food101.archives(), root)
    made = {split: library.Food101(root, split=split) for split in ("train", "test")}
    return {
        path: entry
        for split, each in made.items()
        for path, entry in from_lists(each, root, split, each.classes.__getitem__).items()
    }


def read_dtd(library: Any, root: Path) -> Labelled:
    unpack(test_dtd.archives(), root / "dtd")
    made = {split: library.DTD(root, split=split) for split in ("train", "val", "test")}
    return {
        path: entry
        for split, each in made.items()
        for path, entry in from_lists(each, root / "dtd", split, each.classes.__getitem__).items()
    }


def read_eurosat(library: Any, root: Path) -> Labelled:
    labels = ("Forest", "River")
    files = {f"2750/{label}/{label}_{n}.jpg": jpeg(n + 50 * len(label)) for label in labels for n in range(8)}
    unpack({"EuroSAT.zip": test_class_folders.zip_bytes(files)}, root / "eurosat")
    made = library.EuroSAT(root)
    return {
        Path(path).relative_to(root / "eurosat").as_posix(): (made.classes[label], None) for path, label in made.samples
    }


def read_caltech(library: Any, root: Path) -> Labelled:
    with zipfile.ZipFile(io.BytesIO(test_class_folders.caltech()["caltech-101.zip"])) as archive:
        unpack({"x.tar.gz": archive.read("caltech-101/101_ObjectCategories.tar.gz")}, root / "caltech101")
    made = library.Caltech101(root)
    return {
        f"101_ObjectCategories/{made.categories[label]}/image_{number:04d}.jpg": (made.categories[label], None)
        for label, number in zip(made.y, made.index, strict=True)
    }


def read_imagenette(library: Any, root: Path) -> Labelled:
    files = {
        f"imagenette2/{folder}/{label}/{label}_{n}.JPEG": jpeg(n + 100 * place + 50 * (folder == "val"))
        for place, label in enumerate(("n01440764", "n03888257"))
        for folder, number in (("train", 6), ("val", 4))
        for n in range(number)
    }
    unpack({"imagenette2.tgz": tar_bytes(files, gz=True)}, root)
    made = {ours: library.Imagenette(root, split=theirs) for theirs, ours in (("train", "train"), ("val", "test"))}
    return {
        Path(path).relative_to(root).as_posix(): (each.wnids[label], split)
        for split, each in made.items()
        for path, label in each._samples
    }


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("oxford-pets", read_pets),
        ("oxford-flowers-102", read_flowers),
        ("food-101", read_food),
        ("dtd", read_dtd),
        ("eurosat", read_eurosat),
        ("caltech-101", read_caltech),
        ("imagenette", read_imagenette),
    ],
)
def test_folders_have_the_images_labels_and_splits_that_torchvision_reads(library, tmp_path, name, read):
    root = tmp_path / "root"
    expected = read(library, root)
    dataset = read_card(load_dataset_cards()[name], tmp_path / "cache", data_dir=root, offline=True)
    assert rows(dataset) == expected


def arrays_of(source: Any, split: str) -> tuple[np.ndarray, list[str]]:
    """The pixels and labels of a data set of arrays, in the order of its files."""
    listed = [each for each in source.list_files() if each.split == split]
    pixels = [np.asarray(Image.open(io.BytesIO(source.read(each.path)))) for each in listed]
    return np.stack(pixels), [each.label for each in listed]


@pytest.mark.parametrize("classes", [10, 100])
def test_cifar_has_the_pixels_and_labels_that_torchvision_reads(library, tmp_path, classes):
    unpack(test_cifar.python(classes), tmp_path / "root")
    base = library.CIFAR10 if classes == 10 else library.CIFAR100

    lists = {each: [[name, None] for name, _ in getattr(base, each)] for each in ("train_list", "test_list")}
    cifar = type("Cifar", (base,), {**lists, "meta": {**base.meta, "md5": None}})
    source = open_card(load_dataset_cards()[f"cifar-{classes}"], tmp_path / "cache", data_dir=tmp_path / "root")
    for split in ("train", "test"):
        made = cifar(tmp_path / "root", train=split == "train")
        pixels, labels = arrays_of(source, split)
        assert np.array_equal(pixels, made.data)
        assert labels == [made.classes[label] for label in made.targets]


def test_svhn_has_the_pixels_and_labels_that_torchvision_reads(library, tmp_path):
    unpack(test_svhn.files(), tmp_path / "root")

    files = {split: [url, name, None] for split, (url, name, _) in library.SVHN.split_list.items()}
    svhn = type("Svhn", (library.SVHN,), {"split_list": files})
    source = open_card(load_dataset_cards()["svhn"], tmp_path / "cache", data_dir=tmp_path / "root")
    for split in ("train", "test"):
        made = svhn(tmp_path / "root", split=split)
        pixels, labels = arrays_of(source, split)
        assert np.array_equal(pixels, made.data.transpose(0, 2, 3, 1))
        assert labels == [str(label) for label in made.labels]
