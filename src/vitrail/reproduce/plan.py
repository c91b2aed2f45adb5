"""What it takes to measure published figures here: weights, images, multiply-adds, time. Nothing is fetched or run.

A cell is measured by a run for each of its data sets, in a folder of its own. The folder is named after the question:
data, weights and options. Cells with the same question share a run, and a finished run is not computed again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from vitrail.backbones import Card, parse_spec
from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.opening import EMBEDDED
from vitrail.backbones.speed import Kind, Speed, kind_of, measure_speed
from vitrail.candidates import BenchOptions
from vitrail.core.bounded import is_there
from vitrail.core.errors import UsageError
from vitrail.core.hashing import fingerprint
from vitrail.core.resources import Resources
from vitrail.core.whole_files import safe_name
from vitrail.data.dataset import ListedFile
from vitrail.data.named import PREFIX, find_dataset_card, open_data
from vitrail.data.named.cards import load_dataset_cards
from vitrail.data.named.files import find_on_disk
from vitrail.data.named.real_labels import CARD as REAL_LABELS
from vitrail.fetch.download import is_fetched
from vitrail.reproduce.published import Cell
from vitrail.runs import is_finished

State = Literal["here", "to fetch", "by hand", "unknown"]
WORST: tuple[State, ...] = ("unknown", "by hand", "to fetch", "here")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where weights or images come from. "unknown" are those that Vitrail has no card for."""

    state: State
    where: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalWeights:
    """A weights file and its digest."""

    file: Path
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CellRequest:
    """What cells are measured with. `weights` and `images` are local ones, by the names of their cards.

    With `fetch` missing files are fetched; without it only cells are run whose files are on this machine.
    """

    out: Path
    options: BenchOptions
    resources: Resources
    command: str
    fetch: bool = False
    weights: Mapping[str, LocalWeights] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)

    def data_of(self, name: str) -> str:
        """What a benchmark is given for a data set."""
        return self.images.get(name, f"{PREFIX}{name}")

    def resources_for(self, name: str) -> Resources:
        """What a run on a data set may use: the network only if files may be fetched, or its images were given."""
        if self.fetch or name in self.images:
            return self.resources
        return replace(self.resources, offline=True)

    def folder_of(self, name: str, backbone: str) -> Path:
        """The run folder of a data set and a backbone."""
        weights, given = self.weights.get(backbone), self.data_of(name)
        question = {
            "data": str(Path(given).absolute()) if is_there(Path(given)) else given,
            "backbone": backbone,
            "weights": weights.sha256 if weights else "",
            "options": asdict(self.options),
        }
        return self.out / f"{safe_name(f'{name}-{backbone}')}-{fingerprint(question)[:8]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedCell:
    """One cell. `runs` are the folders by data set; `images` is None if their number is not known before.

    `gmacs` are the 1e9 multiply-adds of the forward pass over all images, `gmacs_left` those of unfinished runs.
    `seconds` is an estimate of the forward pass for these, from a measured speed; None without one.
    """

    cell: Cell
    weights: Place
    data: Place
    runs: Mapping[str, Path]
    images: int | None
    gmacs: float | None
    gmacs_left: float | None
    seconds: float | None = None

    @property
    def is_done(self) -> bool:
        """Whether all of its runs are finished."""
        return bool(self.runs) and all(is_finished(folder) for folder in self.runs.values())


def read_given(
    cells: Sequence[Cell], backbones: Sequence[str], data: Sequence[str], resources: Resources
) -> tuple[dict[str, LocalWeights], dict[str, str]]:
    """Local weights and images by the names of their cards, from NAME=FILE and NAME=DATA.

    Raises:
        UsageError: a value has another form, a name is given twice or is needed by no cell, or a file is not there.
    """
    files = []
    for text in backbones:
        spec = parse_spec(text)
        if spec.file is None:
            raise UsageError(f"-b {spec.name} needs a file here: give NAME=FILE, and choose networks with --cells.")
        files.append((spec, spec.file))
    images = []
    for text in data:
        name, equals, given = (part.strip() for part in text.partition("="))
        if not equals or not given:
            raise UsageError(f"--data {text} cannot be used: give NAME=DATA, such as oxford-pets=FOLDER.")
        images.append((find_dataset_card(name).name, given))
        open_data(given, resources)  # a path that does not exist is said now
    _require("-b", [spec.name for spec, _ in files], [cell.network.backbone for cell in cells])
    _require("--data", [name for name, _ in images], [name for cell in cells for name in cell.images.data])
    return {spec.name: LocalWeights(file=file, sha256=spec.given_digest()) for spec, file in files}, dict(images)


def plan_cells(cells: Iterable[Cell], request: CellRequest) -> list[PlannedCell]:
    """What each cell needs; raises as `find_on_disk`, and if a list of trusted digests cannot be read."""
    cards, counted = load_catalogue(), dict[str, int | None]()
    return [_plan(cell, cards.get(cell.network.backbone), request, counted) for cell in cells]


def estimate_times(planned: Sequence[PlannedCell], resources: Resources) -> tuple[list[PlannedCell], dict[Kind, Speed]]:
    """The cells with seconds of what is left, and the speeds of this machine that these follow from."""
    cards = load_catalogue()
    kinds = {each.cell.name: kind_of(cards[each.cell.network.backbone]) for each in planned if each.gmacs_left}
    speeds = {kind: measure_speed(kind, threads=resources.threads.compute) for kind in dict.fromkeys(kinds.values())}
    return [
        replace(each, seconds=(each.gmacs_left or 0) / speeds[kinds[each.cell.name]].gmacs_per_s)
        if each.cell.name in kinds
        else each
        for each in planned
    ], speeds


def say_missing(planned: PlannedCell, request: CellRequest) -> str:
    """Why a cell is not run, in a few words; "" if it can be."""
    places = {"weights": planned.weights, "images": planned.data}
    if unknown := [what for what, place in places.items() if place.state == "unknown"]:
        return f"{' and '.join(unknown)} unknown to Vitrail"
    reasons = [
        f"{what} {place.state}"
        for what, place in places.items()
        if place.state == "by hand" or (place.state == "to fetch" and not request.fetch)
    ]
    return ", ".join(reasons)


def _plan(cell: Cell, card: Card | None, request: CellRequest, counted: dict[str, int | None]) -> PlannedCell:
    """One cell with the card of its backbone, if there is one; `counted` remembers images that were counted."""
    names = cell.images.data
    runs = {name: request.folder_of(name, card.name) for name in names} if card else {}
    left = [name for name in names if name not in runs or not is_finished(runs[name])]
    needed = [*left, *([REAL_LABELS] if cell.metric == "any right label" else [])]
    finished = Place(state="here", where="the finished run")
    nothing_left = finished if names else Place(state="unknown", where=f"Vitrail does not have {cell.images.title}")
    images = {name: _count_images(name, request, counted) for name in names}
    return PlannedCell(
        cell=cell,
        weights=_place_weights(cell, card, request) if left or not names else finished,
        data=_join({name: _place_images(name, request) for name in needed}) if needed else nothing_left,
        runs=runs,
        images=_add([images[name] for name in names]) if names else None,
        gmacs=_count_gmacs(card, images.values()) if names else None,
        gmacs_left=_count_gmacs(card, [images[name] for name in left]) if names else None,
    )


def _count_gmacs(card: Card | None, images: Iterable[int | None]) -> float | None:
    total = _add(images)
    return None if total is None or card is None else total * card.gmacs


def _add(counts: Iterable[int | None]) -> int | None:
    """The sum; None if one of them is not known."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _place_weights(cell: Cell, card: Card | None, request: CellRequest) -> Place:
    if card is None:
        return Place(state="unknown", where=cell.network.weights)
    if card.name in request.weights:
        return Place(state="here", where=str(request.weights[card.name].file))
    if card.repository == EMBEDDED:
        return Place(state="here", where="they come with Vitrail")
    if is_fetched(card):
        return Place(state="here", where="the hub's cache")
    return Place(state="to fetch", where=f"https://huggingface.co/{card.repository}")


def _join(places: Mapping[str, Place]) -> Place:
    """Where several data sets are: the state is that of the one that is hardest to get."""
    state = min((place.state for place in places.values()), key=WORST.index)
    where = dict.fromkeys(place.where for place in places.values() if place.state == state)
    count = sum(place.state == state for place in places.values())
    of_all = "" if len(places) == 1 else f"{count} of {len(places)} that are needed; "
    return Place(state=state, where=of_all + "; ".join(where))


def _place_images(name: str, request: CellRequest) -> Place:
    if name in request.images:
        return Place(state="here", where=request.images[name])
    card = load_dataset_cards()[name]
    found = find_on_disk(card, request.resources)
    if found is not None:
        return Place(state="here", where=str(found))
    if card.downloads:
        return Place(state="to fetch", where=card.downloads[0].urls[0])
    return Place(state="by hand", where=card.by_hand or f"get it from {card.page}")


def _count_images(name: str, request: CellRequest, counted: dict[str, int | None]) -> int | None:
    """How many images a data set has: by its card, or those that are listed in what was given for it on this disk."""
    if name not in request.images:
        return load_dataset_cards()[name].images
    given = request.images[name]
    if given not in counted:
        source = open_data(given, request.resources) if is_there(Path(given)) else None
        listed = source.list_files() if source else ()
        counted[given] = sum(isinstance(file, ListedFile) for file in listed) if source else None
    return counted[given]


def _require(flag: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Every name is given once, and some cell needs it."""
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{flag} {name} was given twice: give it once.")
        if name not in known:
            choices = ", ".join(dict.fromkeys(each for each in known if each)) or "none"
            raise UsageError(f"{flag} {name} is not needed by any of these cells; they need {choices}.")
