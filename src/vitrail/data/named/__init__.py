"""Data sets by name: "stanford-dogs", or "dataset:stanford-dogs", which is never a folder.

"dataset:stanford-dogs:boxes" is the same data set with each image cropped to its box, so its examples are others.
"hf:OWNER/NAME" is a data set on the hub (`hub_sets.py` beside this file).
"""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from vitrail.core.bounded import is_there
from vitrail.core.errors import UsageError
from vitrail.core.resources import Resources
from vitrail.data.boxes import PixelBox, add_box
from vitrail.data.dataset import ListedFile, SetAside, Source
from vitrail.data.named.cards import DatasetCard, load_dataset_cards
from vitrail.data.named.files import open_tree
from vitrail.data.named.hub_sets import HubSource, is_hub_set
from vitrail.data.named.layouts import BOXES, Layout, open_layout
from vitrail.data.sources import KINDS, is_url, open_source

PREFIX, BOXED = "dataset:", ":boxes"
PLAIN_NAME = re.compile(r"[A-Za-z][\w -]*")
NEAREST_NAMES = 3


@dataclass(frozen=True, slots=True)
class NamedData:
    """A data set that a command was given by name."""

    card: DatasetCard
    boxes: bool = False

    def __str__(self) -> str:
        return f"{PREFIX}{self.card.name}{BOXED if self.boxes else ''}"


def open_data(data: str | Path | None, resources: Resources, *, kept_bytes: int = 0) -> Source:
    """The source that a name, a path or a URL stands for; without one, scikit-learn's digits.

    Only its kind is determined. Missing files of a named data set are fetched when it is first read.

    Args:
        data: what the user gave; a path that exists is never a name.
        resources: where files may be, and whether they may be fetched.
        kept_bytes: as for `open_source`.

    Raises:
        UsageError: there is nothing of that name, the name is empty, it has no boxes, or it is a URL and the network
            may not be used.
        DataError: a server refuses to list a URL.
    """
    if data == "":  # as a path it would be the current folder; a variable of a script was probably not set
        raise UsageError(f"The name of the data is empty: give {KINDS}.")
    if isinstance(data, str) and is_hub_set(data):
        return HubSource(data, resources)
    named = find_named(data)
    if named is not None:
        return NamedSource(named, resources)
    return open_source(data, kept_bytes=kept_bytes, offline=resources.offline)


def find_named(data: str | Path | None) -> NamedData | None:
    """The data set that was given by name; None for a path, a URL or the digits.

    Raises:
        UsageError: no data set and no file has the name, or the data set has no boxes.
    """
    if not isinstance(data, str):
        return None
    if data.startswith(PREFIX):
        name = data.removeprefix(PREFIX)
        named = NamedData(find_dataset_card(name.removesuffix(BOXED)), boxes=name.endswith(BOXED))
        if named.boxes and named.card.layout not in BOXES:
            raise UsageError(f"{named.card.title} has no boxes to crop to: give {PREFIX}{named.card.name}.")
        return named
    if is_url(data) or not PLAIN_NAME.fullmatch(data) or is_there(data):
        return None
    card = _by_name().get(data.lower())
    if card is None and (near := _near_names(data)):
        raise UsageError(
            f"There is nothing at {data}, and no data set has that name; similar names are {', '.join(near)}. Give one "
            f"of them, {KINDS}."
        )
    return None if card is None else NamedData(card)


def find_dataset_card(name: str) -> DatasetCard:
    """The card of one data set, by its name or an alias.

    Raises:
        UsageError: no data set has the name; the message has similar names.
    """
    card = _by_name().get(name.lower())
    if card is None:
        near = _near_names(name)
        similar = f"; similar names are {', '.join(near)}" if near else ""
        raise UsageError(f"There is no data set {name!r}{similar}. `vitrail datasets` lists all.")
    return card


def crop_to_boxes(data: str | Path | None) -> str:
    """The name of a named data set whose images are cropped to their boxes.

    Raises:
        UsageError: the data were not given by name, or have no boxes.
    """
    named = find_named(data)
    if named is None:
        raise UsageError(
            f"--crop-to-boxes is for data sets with boxes that are given by name ({', '.join(_with_boxes())}): crop "
            "other images before the benchmark."
        )
    return str(find_named(str(NamedData(named.card, boxes=True))))


class NamedSource:
    """The images of a named data set. Its files are found or fetched when it is first read."""

    def __init__(self, named: NamedData, resources: Resources) -> None:
        self._named, self._resources = named, resources
        self._lock = threading.Lock()

    @property
    def card(self) -> DatasetCard:
        """What is known of the data set."""
        return self._named.card

    @property
    def name(self) -> str:
        """The data set's name."""
        return self._named.card.name + ("-boxes" if self._named.boxes else "")

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """Every image with its label and split, or the reason why it has none; raises as `open_tree` does."""
        counts: Counter[str] = Counter()
        for listed in self._opened.layout.list_files():
            if isinstance(listed, ListedFile) and self._named.boxes and listed.path not in self._opened.boxes:
                yield SetAside(path=listed.path, reason="it has no box")
                continue
            if isinstance(listed, ListedFile):
                counts[listed.split or "all"] += 1
            yield listed
        self._compare(counts)

    def read(self, path: str) -> bytes:
        """The bytes of one image, with its box if it is cropped; raises OSError."""
        data = self._opened.layout.read(path)
        if not self._named.boxes:
            return data
        if path not in self._opened.boxes:
            raise OSError(0, "it has no box")
        return add_box(data, self._opened.boxes[path])

    @property
    def _opened(self) -> "_Opened":
        with self._lock:  # threads of a worker read without listing first
            return self._open_once

    @cached_property
    def _open_once(self) -> "_Opened":
        card, boxes = self._named.card, self._named.boxes
        tree = open_tree(card, self._resources, boxes=boxes)
        return _Opened(open_layout(tree, card), BOXES[card.layout](tree) if boxes else {})

    def _compare(self, counts: Counter[str]) -> None:
        """Say where there are fewer or more images than the official ones."""
        official = self._named.card.counts
        if official and dict(counts) != official:
            expected = ", ".join(f"{count:,} {split}" for split, count in official.items())
            found = ", ".join(f"{counts[split]:,} {split}" for split in dict.fromkeys([*official, *counts]))
            self._resources.progress.note(
                f"The images of {self.name} are not all those that were published: {found} instead of {expected}."
            )


@dataclass(frozen=True, slots=True)
class _Opened:
    layout: Layout
    boxes: Mapping[str, PixelBox]


def _by_name() -> dict[str, DatasetCard]:
    """Every card by its name and its aliases."""
    return {name: card for card in load_dataset_cards().values() for name in (card.name, *card.aliases)}


def _near_names(name: str) -> list[str]:
    """The names of data sets that begin with what was written, or are spelled like it."""
    known = _by_name()
    beginning = [other for other in known if name and other.startswith(name.lower())]
    alike = get_close_matches(name.lower(), known, n=NEAREST_NAMES)
    return list(dict.fromkeys(known[other].name for other in beginning + alike))[:NEAREST_NAMES]


def _with_boxes() -> list[str]:
    return [card.name for card in load_dataset_cards().values() if card.layout in BOXES]
