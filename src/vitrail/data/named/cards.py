"""What is known of a public data set before it is read: one TOML file of `catalogue/` for each.

A card has three kinds of facts: words for people (licence, citation, split), what a download needs (files, sizes,
digests), and how the files are read (`layout`, a key of `layouts.LAYOUTS`). A fact is on a card only if it was read in
a source, which `seen_in` names; a key of `seen_in` may name several facts. An empty text means that the fact is
unknown. A card without `forms` only describes its data set: the images must be given as a folder or an archive.
"""

import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import ConfigDict, StringConstraints, TypeAdapter, with_config

from vitrail.data.dataset import SplitName

Digest = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{32})?$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://")]

COMPRESSED, GZIP = (".tar.gz", ".tgz"), ".gz"


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetFile:
    """One file of a data set, under its official name, and its size and digest if a source states them.

    `inside` is the archive within this archive that alone is used. Files that are `for_boxes` are needed only for
    cropping. The first of the addresses in `urls` that answers is used.
    """

    name: FileName
    urls: tuple[Url, ...] = ()
    bytes: int | None = None
    sha256: Digest = ""
    md5: Md5 = ""
    inside: str = ""
    for_boxes: bool = False

    @property
    def stored_as(self) -> str:
        """The name of the file that Vitrail keeps: a compressed file is stored as the file in it."""
        name = PurePosixPath(self.inside).name or self.name
        ending = next((ending for ending in COMPRESSED if name.lower().endswith(ending)), "")
        return f"{name.removesuffix(ending)}.tar" if ending else name.removesuffix(GZIP)


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """One of the forms in which a data set is published; the first with files is the one that is downloaded.

    `marks` are paths that exist where the files have been unpacked, `with_boxes` one that only boxes need, `beside`
    those that may lie beside them, and `folders` are the names that other tools give to the folder around them. A form
    without files is a folder that a person unpacks; a form without marks is not recognised once it is unpacked.
    """

    files: tuple[DatasetFile, ...]
    marks: tuple[str, ...]
    with_boxes: str = ""
    beside: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @property
    def tops(self) -> set[str]:
        """The files and folders on top that belong to the data set; whatever lies beside them does not."""
        return {path.split("/")[0] for path in (*self.marks, *self.beside, self.with_boxes) if path}


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """What is known about images of the data set in a collection that backbones are pretrained on.

    `synsets` are the WordNet ids of the classes. A data set that has these classes and no others is recognised as this
    one.
    """

    collection: str
    share: str
    source: str
    synsets: tuple[str, ...] = ()


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetCard:
    """Everything known of one data set.

    `counts` are the images of each official split, or of "all". `class_folders` and `without_classes` are for the
    layout "class-folders", and `class_names` for labels that are numbers. `files_of` is the card of another data set
    that has the same files. `tfds` is the folder in which TensorFlow Datasets keeps the data set, such as
    "eurosat/rgb". `by_hand` says where a person gets files that are not downloaded.
    """

    name: str
    title: str
    page: str
    classes: int
    aliases: tuple[str, ...] = ()
    citation: str = ""
    licence: str = ""
    layout: str = ""
    counts: dict[SplitName | Literal["all"], int] = field(default_factory=dict)
    split: str = ""
    labels: str = ""
    boxes: str = ""
    class_names: tuple[str, ...] = ()
    class_folders: dict[str, SplitName | Literal[""]] = field(default_factory=dict)
    without_classes: tuple[str, ...] = ()
    files_of: str = ""
    tfds: str = ""
    by_hand: str = ""
    seen_in: dict[str, str] = field(default_factory=dict)
    forms: tuple[Form, ...] = ()
    overlaps: tuple[Overlap, ...] = ()

    @property
    def stored_under(self) -> str:
        """The name of the data set in the cache, where data sets with the same files share them."""
        return self.files_of or self.name

    @property
    def downloads(self) -> tuple[DatasetFile, ...]:
        """The files that are downloaded; none if a person must fetch them."""
        files = next((form.files for form in self.forms if form.files), ())
        return files if all(file.urls for file in files) else ()

    @property
    def images(self) -> int | None:
        """How many images it has, if a source states it."""
        return sum(self.counts.values()) or None


_CARD = TypeAdapter(DatasetCard)


@cache
def load_dataset_cards() -> dict[str, DatasetCard]:
    """Every card by name, in the order of the names.

    Raises:
        ValueError: a card has a fact that is unknown, missing or malformed.
    """
    folder = files("vitrail.data") / "catalogue"
    cards = {}
    for name in sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml")):
        facts = tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
        cards[name] = _CARD.validate_python({"name": name, **facts})
    return {name: _with_files(card, cards[card.files_of]) if card.files_of else card for name, card in cards.items()}


def _with_files(card: DatasetCard, other: DatasetCard) -> DatasetCard:
    """A card with the files of another, and with what is known of their images."""
    forms = (*(form for form in other.forms if form.files), *card.forms)
    return replace(card, forms=forms, licence=other.licence, overlaps=other.overlaps)
