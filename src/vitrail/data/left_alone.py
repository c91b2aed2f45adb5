"""Folders and columns that look like a split or like groups and are not used as such: each is named in a warning.

Without a given split Vitrail draws its own, and images that somebody had kept for the test are trained on.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from vitrail.data.columns import FurtherColumns
from vitrail.data.dataset import ListedFile, SplitName
from vitrail.data.sources.split_words import SPLIT_WORDS, split_in_name

FOLDS = re.compile(r"(cv|k|cross.?val(idation)?)?[ _-]?folds?([ _-]?(id|no|nr|number))?", re.IGNORECASE)
GROUPS = re.compile(
    r"(patient|subject|person|participant|individual|donor|animal|case|lesion|specimen|slide|study|series|scan|video|clip"
    r"|sequence|scene|burst|plot|tree|session|user)s?([ _-]?(id|no|nr|number|name|uid))?",
    re.IGNORECASE,
)
MOST_NAMES = 1_000  # of folders that differ in more than the split

_split_in_name = lru_cache(maxsize=1 << 12)(split_in_name)


class LeftAlone:
    """Looks at listed files for what may be meant as their split or their group."""

    def __init__(self) -> None:
        self._split_given = self._group_given = False
        self._alike: dict[tuple[int, str], dict[SplitName, str]] = {}  # by depth and the rest of a folder's name
        self._holding: dict[SplitName, str] = {}  # folders that are named after a split and have folders in them

    def note(self, files: Iterable[ListedFile]) -> Iterator[ListedFile]:
        """Pass the files on and look at their folders."""
        last = ""
        for file in files:
            self._split_given |= file.split is not None
            self._group_given |= file.group is not None
            folder = file.path.rpartition("/")[0]
            if folder != last:
                self._look_at(folder)
                last = folder
            yield file

    def find_cautions(self, columns: FurtherColumns) -> Iterator[str]:
        """Warnings about folders and about further columns of a manifest."""
        if not self._split_given:
            yield from self._of_folders()
        for column in columns.names:
            values = columns.values(column)
            splits = {SPLIT_WORDS.get(value.lower()) for value in values}
            if len(splits) > 1 and None not in splits and not self._split_given:
                yield (
                    f"The column {column} has the values {' and '.join(sorted(values))}, but Vitrail draws its own "
                    "split, since no column is called split: rename the column to split to use it."
                )
            elif FOLDS.fullmatch(column) and values:
                yield (
                    f"The column {column} is not used as folds, since Vitrail draws its own: to test on one of its "
                    "folds, add a column split with train and test."
                )
            elif GROUPS.fullmatch(column) and not self._group_given and len(values) < columns.filled(column):
                yield (
                    f"The column {column} has {len(values):,} values for {columns.filled(column):,} images, but images "
                    f"with the same {column} are not kept in one split, since no column is called group: rename the "
                    "column to group to do so."
                )

    def _look_at(self, folder: str) -> None:
        parts = folder.split("/")
        for depth, name in enumerate(parts):
            named = _split_in_name(name)
            if named is None:
                continue
            split, rest = named
            path = "/".join(parts[: depth + 1])
            if (depth, rest) in self._alike or len(self._alike) < MOST_NAMES:
                self._alike.setdefault((depth, rest), {}).setdefault(split, path)
            if not rest and depth + 1 < len(parts):
                self._holding.setdefault(split, path)

    def _of_folders(self) -> Iterator[str]:
        several = next((splits for splits in self._alike.values() if len(splits) > 1), self._holding)
        if several:
            folders = " and ".join(sorted(several.values()))
            verb, noun = ("has", "a split") if len(several) == 1 else ("have", "splits")
            yield (
                f"{folders} {verb} the name of {noun}, but Vitrail draws its own split: put train/, val/ and test/ on "
                "top, with a folder for each class in each of them, or name the split of every image in a manifest."
            )
