"""The words that name a split, in folders and in columns, in any case.

A folder may have more in its name, as in seg_train and seg_test: then the rest of its name tells that they belong
together. So a class of railway images may be called "train".
"""

import re
from collections.abc import Collection, Sequence

from vitrail.data.dataset import SplitName

SPLIT_WORDS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "calibration": "calibration",
}
# A whole word, or the beginning of one such as trainset.
_WORD = re.compile(rf"(?<![a-z])({'|'.join(SPLIT_WORDS)})(?=(set|sets|data|images?|imgs?)?(?![a-z]))")


def split_in_name(name: str) -> tuple[SplitName, str] | None:
    """The split that a word of a folder's name names, and the rest of the name; None unless exactly one word does."""
    name = name.lower()
    words = list(_WORD.finditer(name))
    if len(words) != 1:
        return None
    return SPLIT_WORDS[words[0][1]], name[: words[0].start()] + name[words[0].end() :]


def split_folders(folders: Sequence[str]) -> dict[str, SplitName]:
    """Which of the folders side by side name a split; empty if they are classes.

    They are splits if train and at least one more exist, with the same rest of the name; or if there are no other
    folders and their names are nothing but the word.
    """
    by_rest: dict[str, dict[str, SplitName]] = {}
    for folder in folders:
        if named := split_in_name(folder):
            by_rest.setdefault(named[1], {})[folder] = named[0]
    sure = {rest: splits for rest, splits in by_rest.items() if names_several(splits.values())}
    if "" in sure or len(sure) == 1:
        return sure.get("") or next(iter(sure.values()))
    only_words = by_rest.get("", {})
    return only_words if len(only_words) == len(folders) else {}


def names_several(splits: Collection[SplitName]) -> bool:
    """Whether train and at least one more split are among these."""
    return "train" in splits and len(set(splits)) > 1
