"""Published accuracies as facts: the TOML files of `figures/`, one for each command that compares them.

A file has the sets of test images that its figures are of, and tables of networks, each with its source. Figures are in
per cent, as printed. A cell is one figure: a network of a table on a set.
"""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

from pydantic import ConfigDict, TypeAdapter, with_config

from vitrail.core.errors import UsageError

Metric = Literal["accuracy", "mean per class", "any right label", "mean of tasks", "mean average precision"]


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSet:
    """What a network is tested on. `data` are names of data sets; empty if Vitrail has none of them.

    `protocol` says how measured figures differ from published ones on it, in a sentence.
    """

    title: str
    data: tuple[str, ...] = ()
    protocol: str = ""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedNetwork:
    """One network of a table.

    `backbone` is the card that stands for it, or empty. `weights` says how the card's weights differ from
    the published network's, or why the catalogue lacks it. `core_days` are TPUv3-core-days of pretraining. `figures`
    are by the name of the test images: the accuracy and, where one was printed, its plus-minus. `notes` are sentences
    on some.
    """

    name: str
    title: str
    figures: dict[str, tuple[float] | tuple[float, float]]
    backbone: str = ""
    weights: str = ""
    core_days: float | None = None
    notes: dict[str, str] = field(default_factory=dict)


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedTable:
    """Networks with one source and one method.

    `read_in` is where the figures were read. `method` says how the published ones were made and how measured ones
    differ; `spread` says what a plus-minus means. `metrics` has the sets whose figures are not plain accuracy.
    """

    title: str
    source: str
    read_in: Literal["primary source", "second-hand copy"]
    method: str
    networks: tuple[PublishedNetwork, ...]
    spread: str = ""
    metrics: dict[str, Metric] = field(default_factory=dict)


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """The content of one file."""

    title: str
    sets: dict[str, ImageSet]
    tables: tuple[PublishedTable, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One published figure; `percent` and `plus_minus` are in per cent."""

    name: str
    percent: float
    plus_minus: float | None
    metric: Metric
    network: PublishedNetwork
    images: ImageSet
    table: PublishedTable = field(repr=False)
    note: str = ""


_PUBLISHED = TypeAdapter(Published)


def load_published(name: Literal["vit-table2", "probes"]) -> Published:
    """The published figures of one command.

    Raises:
        ValueError: a fact is unknown, missing or malformed.
    """
    file = files("vitrail.reproduce") / "figures" / f"{name}.toml"
    return _PUBLISHED.validate_python(tomllib.loads(file.read_text(encoding="utf-8")))


def list_cells(published: Published, chosen: Sequence[str] = ()) -> list[Cell]:
    """The cells, in the order of the file.

    Args:
        published: the figures.
        chosen: names of networks, of test images, or of cells as NETWORK/IMAGES; empty for all.

    Raises:
        UsageError: a name is not one of these.
    """
    cells = [
        Cell(
            name=f"{network.name}/{images}",
            percent=figure[0],
            plus_minus=figure[1] if len(figure) == 2 else None,
            metric=table.metrics.get(images, "accuracy"),
            network=network,
            images=published.sets[images],
            table=table,
            note=network.notes.get(images, ""),
        )
        for table in published.tables
        for network in table.networks
        for images, figure in network.figures.items()
    ]
    names = {cell.name: {cell.name, *cell.name.split("/")} for cell in cells}
    for choice in chosen:
        if not any(choice in of_cell for of_cell in names.values()):
            raise UsageError(
                f"--cells {choice} is not one of these figures: give NETWORK, IMAGES or NETWORK/IMAGES. Networks are "
                f"{_list(cell.network.name for cell in cells)}; images are {_list(published.sets)}."
            )
    return [cell for cell in cells if not chosen or names[cell.name] & set(chosen)]


def _list(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
