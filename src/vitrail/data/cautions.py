"""What a person should know of a data set before believing a number about it."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from vitrail.data.duplicates import Duplicates
from vitrail.data.text_identity import fold

SMALL_CLASS = 20  # with the default split, four test images: one of them is worth 25 points of this class
UNEQUAL = 10  # the largest class over the smallest
NAMED = 5
MISSING = frozenset({"nan", "none", "null", "nat", "<na>"})  # how programs write a missing value as text
_ESCAPED = re.compile(r"\\x[0-9a-f]{2}")


def find_cautions(sizes: Mapping[str, int], duplicates: Duplicates, *, animations: int) -> Iterator[str]:
    """Warnings about the examples of a data set, each with figures.

    `sizes` is the number of examples of each class; at least one is not 0. `animations` counts the files with several
    frames; only the first frame is used.
    """
    yield from _of_names(sizes)
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
        yield f"Fewer than {SMALL_CLASS} images of {_some(small)}: results for these classes are uncertain."


def _of_names(classes: Collection[str]) -> Iterator[str]:
    alike: dict[str, list[str]] = {}
    for name in sorted(classes):
        alike.setdefault(fold(name), []).append(name)
    same = [" and ".join(names) for names in alike.values() if len(names) > 1]
    if same:
        yield (
            f"Different classes with names that read alike: {_some(same)}. They differ in case, spaces, hyphens, "
            "invisible characters or how a number is written. If they are one class, give it one name."
        )
    if missing := [name for name in sorted(classes) if name.casefold() in MISSING]:
        yield (
            f"A class is called {_some(missing)}, which is how programs write a missing value: if these images have "
            "no label, remove them."
        )
    if escaped := [name for name in sorted(classes) if _ESCAPED.search(name)]:
        yield (
            f"Class names hold bytes that are no text in UTF-8, or control characters: {_some(escaped)}. Such bytes "
            "are written in hexadecimal."
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


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
