"""What a person should know of a data set before believing a number about it."""

from collections import Counter
from collections.abc import Iterator, Mapping

from vitrail.data.duplicates import Duplicates

SMALL_CLASS = 20  # with the default split, four test images: one of them is worth 25 points of this class
UNEQUAL = 10  # the largest class over the smallest
NAMED = 5


def find_cautions(sizes: Mapping[str, int], duplicates: Duplicates, *, animations: int) -> Iterator[str]:
    """Warnings about the examples of a data set, each with figures.

    `sizes` is the number of examples of each class; at least one is not 0. `animations` counts the files with several
    frames; only the first frame is used.
    """
    yield from _of_copies(duplicates)
    if animations:
        yield f"{_files(animations)} animated or multi-page: only the first frame is used."
    ordered = Counter(sizes).most_common()
    (largest, most), (smallest, fewest) = ordered[0], ordered[-1]
    if most >= UNEQUAL * fewest:
        yield (
            f"The largest class, {largest}, has {most:,} images and the smallest, {smallest}, has {fewest:,}: "
            "look at balanced accuracy and macro F1 too, since the large classes dominate top-1."
        )
    small = [f"{label} ({count})" for label, count in reversed(ordered) if count < SMALL_CLASS]
    if small:
        more = f" and {len(small) - NAMED} more" if len(small) > NAMED else ""
        yield (
            f"Fewer than {SMALL_CLASS} images of {', '.join(small[:NAMED])}{more}: results for these classes are "
            "uncertain."
        )


def _of_copies(duplicates: Duplicates) -> Iterator[str]:
    if duplicates.two_labels:
        contents = "one image" if duplicates.two_labels == 1 else f"{duplicates.two_labels} different images"
        yield f"{_files(duplicates.two_labels_files)} set aside: the same bytes have two labels ({contents})."
    if duplicates.files:
        yield f"{_files(duplicates.files)} byte for byte a copy of another: each image counts once."
    if duplicates.across_splits:
        yield (
            f"Leakage between the given splits: {duplicates.across_splits} images are in more than one of them, byte "
            "for byte. Each is kept in one split only: test before val, val before train."
        )
    if duplicates.cut_from_splits:
        yield (
            f"Leakage between the given splits: {duplicates.cut_from_splits} images were set aside because their "
            "group is also in test, or because they are in train and their group is also in val."
        )
    if duplicates.joined_groups:
        yield (
            f"Byte for byte copies lie in different groups, so {duplicates.joined_groups} groups were merged into "
            "others to keep copies in one split."
        )


def _files(count: int) -> str:
    return "1 file is" if count == 1 else f"{count:,} files are"
