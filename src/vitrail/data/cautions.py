"""What a person should know of a data set before believing a number about it."""

from collections import Counter
from collections.abc import Iterator, Mapping

from vitrail.data.duplicates import Duplicates

SMALL_CLASS = 20  # with the default split, four test images: one of them is worth 25 points of this class
UNEQUAL = 10  # the largest class over the smallest
NAMED = 5


def find_cautions(sizes: Mapping[str, int], duplicates: Duplicates, *, animations: int) -> Iterator[str]:
    """Sentences of warning about the examples of a data set, each with figures.

    `sizes` is the number of examples of each class; at least one is not 0. `animations` counts the files with several
    frames, of which the first is used.
    """
    yield from _of_copies(duplicates)
    if animations:
        yield f"{_files(animations)} an animation or has pages: of each, the first frame is used."
    ordered = Counter(sizes).most_common()
    (largest, most), (smallest, fewest) = ordered[0], ordered[-1]
    if most >= UNEQUAL * fewest:
        yield (
            f"The largest class, {largest}, has {most:,} images and the smallest, {smallest}, has {fewest:,}: "
            "read balanced accuracy and macro F1 beside top-1, which the large classes decide."
        )
    small = [f"{label} ({count})" for label, count in reversed(ordered) if count < SMALL_CLASS]
    if small:
        more = f" and {len(small) - NAMED} more" if len(small) > NAMED else ""
        yield f"Fewer than {SMALL_CLASS} images of {', '.join(small[:NAMED])}{more}: little can be said of them."


def _of_copies(duplicates: Duplicates) -> Iterator[str]:
    if duplicates.two_labels:
        contents = "one content" if duplicates.two_labels == 1 else f"{duplicates.two_labels} different contents"
        yield f"{_files(duplicates.two_labels_files)} set aside: the same bytes have two labels ({contents})."
    if duplicates.files:
        yield f"{_files(duplicates.files)} byte for byte a copy of another: each content counts once."
    if duplicates.across_splits:
        yield (
            f"Leakage between the given splits: {duplicates.across_splits} images are in more than one of them, byte "
            "for byte. Each is kept in test rather than val and in val rather than train, and nowhere else."
        )
    if duplicates.cut_from_splits:
        yield (
            f"Leakage between the given splits: {duplicates.cut_from_splits} images were set aside since their group "
            "is also in test, or in val while they are in train."
        )
    if duplicates.joined_groups:
        yield (
            f"Byte for byte copies in different groups made {duplicates.joined_groups} of the groups part of another, "
            "so that they stay in one split."
        )


def _files(count: int) -> str:
    return "1 file is" if count == 1 else f"{count:,} files are"
