"""Every class by its name, so that it is found without a script: a fold for each letter, backbones side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from vitrail.candidates.class_names import plain_words
from vitrail.evaluation import ClassMetrics
from vitrail.runs import BackboneResult

FEW_CLASSES = 40  # a reader finds one of these in the list of a backbone, which is sorted by accuracy


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexRow:
    """One class: how many test images show it, and its figures of each backbone."""

    name: str
    n: int
    classes: tuple[ClassMetrics, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """The classes whose names begin with a letter; WordNet ids and numbers in front do not count."""

    letter: str
    rows: tuple[IndexRow, ...]


def index_classes(backbones: Sequence[BackboneResult]) -> tuple[Letter, ...]:
    """The classes by letter; all backbones have the same classes in the same order. Empty for a few classes."""
    rows = [
        IndexRow(name=classes[0].name, n=classes[0].n, classes=classes)
        for classes in zip(*(backbone.per_class for backbone in backbones), strict=True)
    ]
    if len(rows) <= FEW_CLASSES:
        return ()
    rows.sort(key=lambda row: (_letter(row.name) == "#", _words(row.name), row.name))
    return tuple(
        Letter(letter=letter, rows=tuple(same)) for letter, same in groupby(rows, key=lambda row: _letter(row.name))
    )


def _letter(name: str) -> str:
    first = _words(name)[:1].upper()
    return first if first.isalpha() else "#"


def _words(name: str) -> str:
    return plain_words(name) or name.casefold()
