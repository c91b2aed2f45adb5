"""What the benchmark was made on and with: data, split, what was set aside, options. In words and short tables."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vitrail.data import SetAside
from vitrail.delivery.report import words
from vitrail.runs import Results

SHOWN_SPLITS = ("train", "val", "calibration", "test")
OPEN_LIST = 8  # a longer list of what was set aside is folded
LONGEST_LIST = 1_000
LONGEST_REASON = 300

# What data's Duplicates counts, in words for one and for several.
DUPLICATES = {
    "files": ("file is a byte for byte copy of another", "files are byte for byte copies of others"),
    "examples": ("content lies in several files and counts once", "contents lie in several files; each counts once"),
    "two_labels": ("content has two labels and is set aside", "contents have two labels each and are set aside"),
    "two_labels_files": ("file holds such a content", "files hold such contents"),
    "across_splits": ("content was given in several splits", "contents were given in several splits"),
    "joined_groups": (
        "group was joined to another by shared content",
        "groups were joined to others by shared content",
    ),
    "near_pairs": ("pair of images are near-duplicates", "pairs of images are near-duplicates"),
    "near_examples": ("image is in such a pair", "images are in such a pair"),
    "near_across_splits": ("such pair crosses the given splits", "such pairs cross the given splits"),
    "near_two_labels": ("such pair has two labels", "such pairs have two labels"),
    "too_small": (
        "image has fewer than 32 pixels along a side and was not searched for near-duplicates",
        "images have fewer than 32 pixels along a side and were not searched for near-duplicates",
    ),
    "one_colour": (
        "image has one colour, or nearly, and was not searched for near-duplicates",
        "images have one colour, or nearly, and were not searched for near-duplicates",
    ),
    "cut_from_splits": (
        "content was taken out of its given split, since its group lies in a better guarded one",
        "contents were taken out of their given split, since their groups lie in a better guarded one",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Aside:
    """What was set aside: all of it counted by reason, most frequent first, and named as far as a page can bear."""

    total: int
    reasons: tuple[tuple[str, int], ...]
    listed: tuple[SetAside, ...]
    folded: bool
    left_out: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """The data section. `totals` has the images of each split, `by_class` a class with its images in each."""

    splits: tuple[str, ...]
    totals: tuple[int, ...]
    by_class: tuple[tuple[str, tuple[int, ...]], ...]
    aside: Aside
    duplicates: tuple[str, ...]
    images: int


def collect_data_facts(results: Results) -> DataFacts:
    """The data section of the page."""
    counts = results.data.counts
    splits = tuple(split for split in SHOWN_SPLITS if sum(counts.get(split, {}).values())) or SHOWN_SPLITS
    totals = tuple(sum(counts.get(split, {}).values()) for split in splits)
    by_class = tuple(
        (name, tuple(counts.get(split, {}).get(name, 0) for split in splits)) for name in results.data.classes
    )
    return DataFacts(
        splits=splits,
        totals=totals,
        by_class=by_class,
        aside=_aside(results.data.set_aside),
        duplicates=_duplicates(results.data.duplicates),
        images=sum(totals),
    )


def list_options(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every option after defaults, nested ones with their path, as they were set."""
    rows: list[tuple[str, str]] = []
    for key, value in options.items():
        if isinstance(value, Mapping):
            rows.extend((f"{key}.{inner}", shown) for inner, shown in list_options(value))
        else:
            rows.append((key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)))
    return rows


def list_warnings(results: Results) -> list[str]:
    """Warnings about the data that are not among the caveats of the decision, and what was not done in a search."""
    of_data = [warning for warning in results.data.warnings if warning not in results.decision.caveats]
    return of_data + list(dict.fromkeys(note for result in results.backbones for note in result.search.notes))


def _aside(set_aside: tuple[SetAside, ...]) -> Aside:
    shortened = [SetAside(path=aside.path, reason=_short(aside.reason)) for aside in set_aside]
    return Aside(
        total=len(shortened),
        reasons=tuple(Counter(_kind(aside.reason) for aside in shortened).most_common(20)),
        listed=tuple(shortened[:LONGEST_LIST]),
        folded=len(shortened) > OPEN_LIST,
        left_out=max(0, len(shortened) - LONGEST_LIST),
    )


def _kind(reason: str) -> str:
    """A reason without what is particular to one file: what comes before a colon or a bracket."""
    return reason.split(":")[0].split(" (")[0]


def _short(reason: str) -> str:
    return reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 1] + "…"


def _duplicates(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(words.plural(number, *DUPLICATES[key]) for key, number in counts.items() if number)
