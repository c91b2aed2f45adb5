"""Whether every class has enough images to be learnt and tested."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from vitrail.core.errors import DataError
from vitrail.data.dataset import Dataset
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
        DataError: there is only one class, or a class has fewer than 8 images or no training images.
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
