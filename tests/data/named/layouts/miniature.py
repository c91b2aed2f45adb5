"""Miniatures of public data sets in their official archives, served on loopback and opened by name."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from tests.data.pictures import encoded, photograph
from tests.fetch.web_server import Web
from vitrail.core.resources import Resources
from vitrail.data import Dataset, Split, load, make_split
from vitrail.data.named import NamedData, NamedSource
from vitrail.data.named.cards import DatasetCard, load_dataset_cards

SPLITS = {"train": 6, "test": 4}  # images of each class: enough for a benchmark


def jpeg(seed: int, size: tuple[int, int] = (40, 30)) -> bytes:
    return encoded(photograph(seed, size), "JPEG", quality=90)


def tar_bytes(files: Mapping[str, bytes], *, gz: bool = False) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0) if gz else buffer.getvalue()


def mat_bytes(*, compressed: bool = False, **variables: Any) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, variables, do_compression=compressed)
    return buffer.getvalue()


def cell(values: list[str]) -> np.ndarray:
    """A column of texts, as MATLAB stores them."""
    return np.array([[value] for value in values], dtype=object)


def serve(web: Web, name: str, files: Mapping[str, bytes], *, form: int = 0) -> DatasetCard:
    """The card of a data set with the sizes and digests of its miniature, and addresses on this machine."""
    card = load_dataset_cards()[name]
    web.files |= {f"/{file}": content for file, content in files.items()}
    changed = tuple(
        replace(
            file,
            urls=(f"{web.url}/{file.name}",),
            bytes=len(files[file.name]),
            sha256=hashlib.sha256(files[file.name]).hexdigest(),
            md5="",
        )
        for file in card.forms[form].files
        if file.name in files
    )
    return replace(card, forms=(replace(card.forms[form], files=changed),))


def open_card(
    card: DatasetCard, cache: Path, *, boxes: bool = False, data_dir: Path | None = None, offline: bool = False
) -> NamedSource:
    resources = Resources(cache=cache, data_dir=data_dir, offline=offline)
    return NamedSource(NamedData(card, boxes=boxes), resources)


def read_card(card: DatasetCard, cache: Path, **options: Any) -> Dataset:
    return load(open_card(card, cache, **options))


def split_of(dataset: Dataset) -> Split:
    return make_split(dataset)[1]


def rows(dataset: Dataset) -> dict[str, tuple[str, str | None]]:
    """The label and the given split of each image, by its path."""
    return {
        path: (dataset.classes[row["label"]], row["given_split"])
        for row in dataset.table.to_pylist()
        for path in row["paths"]
    }


def counts(dataset: Dataset) -> dict[tuple[str, str | None], int]:
    """How many images of each class are in each given split."""
    found: dict[tuple[str, str | None], int] = {}
    for key in rows(dataset).values():
        found[key] = found.get(key, 0) + 1
    return found


def even(*classes: str, splits: Mapping[str, int] = SPLITS) -> dict[tuple[str, str | None], int]:
    """The counts of a miniature that has so many images of each class in each split."""
    return {(label, split): number for label in classes for split, number in splits.items()}
