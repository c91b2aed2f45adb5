"""Whether every class has enough images to be learnt and tested."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from vitrail.core.errors import DataError
from vitrail.data.dataset import Dataset
from vitrail.data.near_duplicates import NEAR_GROUP
from vitrail.data.sealed import SealedTest

MIN_IMAGES_PER_CLASS = 8
NAMED_CLASSES = 10


def require_enough(dataset: Dataset, *, sealed: SealedTest | None = None, without: Collection[str] = ()) -> None:
    """Check that every class has enough images for a benchmark.

    Args:
        dataset: the labels of its test may be sealed.
        sealed: the sealed labels of the test, if any.
        without: ids of examples that turned out to be unreadable.

    Raises:
        DataError: there is only one class, a class has fewer than 8 images or no training images, or no test image
            can be read.
    """
    if len(dataset.classes) < 2:
        raise DataError(
            f"{dataset.name} has only one class, {dataset.classes[0]}: give at least two classes, "
            "with one folder or label each."
        )
    gone = set(without)
    labels = dataset.table["label"]
    if gone:
        labels = labels.filter(pc.invert(pc.is_in(dataset.table["id"], value_set=pa.array(sorted(gone), pa.string()))))
    shown = Counter({count["values"]: count["counts"] for count in pc.value_counts(labels).to_pylist()})
    hidden = sealed.counts(len(dataset.classes), without=gone) if sealed else (0,) * len(dataset.classes)
    if sealed and not any(hidden):
        raise DataError(
            f"No images are left for test in {dataset.name}, since none of them can be read: `vitrail audit` says why."
        )
    total = {name: shown[label] + hidden[label] for label, name in enumerate(dataset.classes)}
    few = {name: count for name, count in total.items() if count < MIN_IMAGES_PER_CLASS}
    if few:
        raise DataError(_too_few(dataset, few))
    require_training([name for label, name in enumerate(dataset.classes) if not shown[label]])


def require_training(untrained: Sequence[str]) -> None:
    """Check that every class has training images; `untrained` names those without.

    Raises:
        DataError: there are such classes.
    """
    if untrained:
        raise DataError(
            f"No training images are left of {join_names(untrained)}, and every class needs some: "
            "put images of it into train, or remove the class."
        )


def refuse_empty(parts: Sequence[str], groups: Sequence[str | None]) -> NoReturn:
    """Say why parts of a split have no images.

    Args:
        parts: their names.
        groups: the group of each image that was to be divided among them and others.

    Raises:
        DataError: always.
    """
    images = len(groups)
    largest = Counter(group for group in groups if group is not None).most_common(1)
    no_images = f"No images are left for {' and '.join(parts)}"
    if not largest or largest[0][1] == 1:
        raise DataError(f"{no_images}, since there are only {images} to divide: give more images.")
    group, size = largest[0]
    if group.startswith(NEAR_GROUP):
        why = f"near-duplicates are kept together, and they tie {size:,} of {images:,} images to each other"
        remedy = (
            "If these are different images, such as parts in front of one background, --no-near-duplicates divides "
            "them all the same."
        )
    else:
        why = f"groups are kept whole, and the largest, {group}, has {size:,} of {images:,} images"
        remedy = (
            "Give images of more groups, or give no groups. Near-duplicates join groups too, unless you give "
            "--no-near-duplicates."
        )
    raise DataError(f"{no_images}: {why}. {remedy}")


def _too_few(dataset: Dataset, few: Mapping[str, int]) -> str:
    named = join_names(
        [f"{name} ({count})" for name, count in sorted(few.items(), key=lambda item: (item[1], item[0]))]
    )
    noun = "One class" if len(few) == 1 else f"{len(few)} classes"
    verb = "has" if len(few) == 1 else "have"
    aside = f" {len(dataset.set_aside)} files were set aside." if dataset.set_aside else ""
    return (
        f"{noun} {verb} fewer than {MIN_IMAGES_PER_CLASS} usable images in {dataset.name}: {named}. "
        f"Add images, or remove or merge the class.{aside}"
    )


def join_names(names: Sequence[str]) -> str:
    """Names in a sentence: the first ten, and how many more."""
    more = f" and {len(names) - NAMED_CLASSES} more" if len(names) > NAMED_CLASSES else ""
    return ", ".join(names[:NAMED_CLASSES]) + more
