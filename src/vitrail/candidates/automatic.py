"""The backbones of a run: those that were named, or candidates from the catalogue (`-b auto`, or data and no name).

Candidates are chosen by `shortlist.py`. Weights of a given folder come first; without a connection only candidates take
part whose weights are on this machine. What is on it may change, so an interrupted run continues with the candidates of
its first start, which are in its journal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from vitrail.backbones import BackboneSpec, EngineRequest
from vitrail.backbones.cards import Card
from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.engines import choose_engine
from vitrail.backbones.select import Wanted
from vitrail.backbones.weights_folder import RecognisedFile, recognise_weights
from vitrail.candidates.options import BenchOptions, parse_specs
from vitrail.candidates.shortlist import PretrainingKind, Shortlist, ShortlistOptions, make_shortlist
from vitrail.candidates.speed_limit import Measured, choose_within, say_limit
from vitrail.core.errors import UsageError
from vitrail.core.resources import Resources
from vitrail.data import is_url, open_data
from vitrail.features.network_speed import recall_or_measure
from vitrail.fetch.download import needs_no_download
from vitrail.fetch.hub import say_unreachable

AUTO = "auto"
EMBEDDED_NAMES = ("vit_mini", "resnet_mini")
OFFER = "-b vit_mini -b resnet_mini compares our two small ones, which come with Vitrail"

WeightsPlace = Literal["given folder", "hub's cache", "hub"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenBackbone:
    """A candidate from the catalogue; `reason` says what it stands for.

    Weights of the given folder have a digest, and `recognised` says how; `fits` names further cards that they may be
    for. `ms` is what an image takes here, as `--max-ms` measured it; None without that limit.
    """

    name: str
    kind: PretrainingKind
    reason: str
    weights: WeightsPlace
    sha256: str = ""
    recognised: Literal["", "digest", "names and shapes"] = ""
    fits: tuple[str, ...] = ()
    ms: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A candidate, or a file of the given folder, that takes no part, and why; `ms` if it is too slow."""

    name: str
    reason: str
    ms: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AutomaticChoice:
    """How the candidates of a run were chosen.

    `given` are the digests of the weights in the given folder, `network` says whether weights could be fetched, or why
    not.
    """

    rule: str
    options: ShortlistOptions
    given: tuple[str, ...]
    offline: bool
    network: str
    backbones: tuple[ChosenBackbone, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def request(self) -> dict[str, Any]:
        """What was requested, whatever was on the machine; the conditions are options of the run."""
        return {AUTO: True, "weights": list(self.given), "offline": self.offline}


_AUTOMATIC = TypeAdapter(AutomaticChoice)


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneChoice:
    """The backbones of a run; `automatic` is None if they were named. `files` are those of the folder, by digest."""

    specs: tuple[BackboneSpec, ...]
    automatic: AutomaticChoice | None = None
    files: Mapping[str, Path] = field(default_factory=dict, repr=False)

    @property
    def requested(self) -> tuple[str, ...]:
        """The backbones as they are named, with the digest of a given file."""
        return tuple(spec.name if spec.file is None else f"{spec.name}={spec.given_digest()}" for spec in self.specs)

    @property
    def identity(self) -> object:
        """What a run must share with this one to be the same; plain values."""
        return self.requested if self.automatic is None else self.automatic.request

    def record(self) -> dict[str, Any]:
        """What the journal keeps of the first start."""
        return {} if self.automatic is None else {"automatic": _AUTOMATIC.dump_python(self.automatic, mode="json")}

    def as_recorded(self, record: Mapping[str, Any]) -> "BackboneChoice":
        """The choice of the first start, from what the journal kept of it; this one if it kept nothing."""
        if self.automatic is None or "automatic" not in record:
            return self
        automatic = _AUTOMATIC.validate_python(record["automatic"])
        return replace(self, automatic=automatic, specs=_make_specs(automatic.backbones, self.files))


def list_left_out(choice: AutomaticChoice) -> list[tuple[str, list[str]]]:
    """What takes no part, by reason; what is too slow with its milliseconds."""
    named: dict[str, list[str]] = {}
    for each in choice.left_out:
        named.setdefault(each.reason, []).append(each.name if each.ms is None else f"{each.name} ({each.ms:.3g} ms)")
    return list(named.items())


def say_older_choice(first: BackboneChoice, now: BackboneChoice) -> str:
    """That a run has other candidates than would be chosen now; "" if it has the same."""
    if first.automatic is None or first.specs == now.specs:
        return ""
    return (
        f"This run began with other candidates than those of now ({first.automatic.rule}) and keeps them; another "
        "--out begins a new one."
    )


def choose_backbones(
    data: str | Path | None, backbones: Sequence[str], options: BenchOptions, resources: Resources
) -> BackboneChoice:
    """The backbones that were named, or candidates from the catalogue; the digits have two of ours by default.

    Raises:
        UsageError: a name is wrong, conditions for candidates were given beside names, no card meets them or is fast
            enough, or none of their weights is on this machine and none can be fetched.
    """
    if tuple(backbones) == (AUTO,) or (not backbones and data is not None):
        if not is_url(str(data)):
            open_data(data, replace(resources, offline=True))  # a mistake in the path is named before missing weights
        return _choose_from_catalogue(options.shortlist or ShortlistOptions(), options.engine_request, resources)
    if AUTO in backbones:
        raise UsageError("-b auto takes its candidates from the catalogue: give it alone, or names alone.")
    if options.shortlist is not None or resources.weights_dir is not None:
        whose = "for named ones weights are given as -b NAME=FILE" if backbones else "the digits have two of ours"
        raise UsageError(
            "--weights, --candidates, --race-budget and conditions such as --licence are for backbones that are chosen "
            "from the catalogue, but "
            f"{whose}: give -b auto alone, or leave them out."
        )
    specs = parse_specs(backbones or EMBEDDED_NAMES)
    for spec in specs:
        if spec.note:
            resources.progress.note(spec.note)
    return BackboneChoice(specs=tuple(specs))


def _choose_from_catalogue(options: ShortlistOptions, request: EngineRequest, resources: Resources) -> BackboneChoice:
    cards = list(load_catalogue().values())
    given, left_out = _read_folder(resources.weights_dir, cards)
    usable = {}
    for name, file in given.items():
        if file.by != "digest" and _asks_origin(options.wanted):
            left_out.append(LeftOut(name=file.file.name, reason="licence and pretraining data not known"))
        else:
            usable[name] = file
    everything = make_shortlist(cards, options.wanted, candidates=len(cards), first=usable).cards
    best = everything[: options.candidates]
    network = "offline" if resources.offline else _ask_hub([card for card in best if card.name not in usable])
    here = {*usable, *((card.name for card in everything if needs_no_download(card)) if network else ())}
    eligible_here = [card.name for card in everything if card.name in here]
    if network and not eligible_here:
        raise UsageError(_say_none_here(network, options.wanted))

    def choose(cards: Sequence[Card]) -> Shortlist:
        count = sum(card.name in eligible_here for card in cards) if network else options.candidates
        return make_shortlist(cards, options.wanted, candidates=min(options.candidates, count), first=here)

    measured = None
    if options.max_ms is None:
        shortlist = choose(cards)
    else:
        engine = choose_engine(request.engine, request.precision)
        measure = partial(recall_or_measure, choice=engine, resources=resources)
        shortlist, measured = choose_within(options.max_ms, cards, choose, measure, resources.progress)
    too_slow = measured.too_slow if measured else {}
    chosen = tuple(_describe(shortlist, usable, measured, network=network))
    names = {each.name for each in chosen}
    left_out += [
        LeftOut(name=file.file.name, reason=_say_not_chosen(name in eligible_here, options.candidates))
        for name, file in usable.items()
        if name not in names and name not in too_slow
    ]
    left_out += [
        LeftOut(name=name, reason=f"more than {options.max_ms:g} ms an image on this machine", ms=ms)
        for name, ms in too_slow.items()
    ]
    left_out += [
        LeftOut(name=card.name, reason="weights not on this machine")
        for card in best
        if network and card.name not in here
    ]
    automatic = AutomaticChoice(
        rule=_say_rule(shortlist, measured, from_folder=bool(usable), network=network),
        options=options,
        given=tuple(sorted(file.sha256 for file in given.values())),
        offline=resources.offline,
        network=network,
        backbones=chosen,
        left_out=tuple(left_out),
    )
    files = {file.sha256: file.file for file in usable.values()}
    return BackboneChoice(specs=_make_specs(chosen, files), automatic=automatic, files=files)


def _read_folder(folder: Path | None, cards: Sequence[Card]) -> tuple[dict[str, RecognisedFile], list[LeftOut]]:
    """The weights of a folder by the names of their cards, and the files that are for none."""
    if folder is None:
        return {}, []
    recognised, unrecognised = recognise_weights(folder, cards)
    by_name: dict[str, RecognisedFile] = {}
    left_out = [LeftOut(name=other.file.name, reason=other.reason) for other in unrecognised]
    for file in sorted(recognised, key=lambda file: file.by != "digest"):  # the proven one, if two are for one card
        by_name.setdefault(file.card.name, file)
    left_out += [
        LeftOut(name=file.file.name, reason=f"another file is taken for {file.card.name}")
        for file in recognised
        if by_name[file.card.name] is not file
    ]
    return by_name, left_out


def _asks_origin(wanted: Wanted) -> bool:
    """Whether a condition is about facts that a file's names and shapes do not show."""
    return any((wanted.licence, wanted.pretrained_on, wanted.not_pretrained_on))


def _ask_hub(candidates: Sequence[Card]) -> str:
    """Why weights cannot be fetched; "" if they can, or if none is missing."""
    missing = next((card for card in candidates if not needs_no_download(card)), None)
    reason = say_unreachable(missing) if missing else ""
    return f"no hub can be reached ({reason})" if reason else ""


def _describe(
    shortlist: Shortlist, usable: Mapping[str, RecognisedFile], measured: Measured | None, *, network: str
) -> list[ChosenBackbone]:
    chosen = []
    for pick in shortlist.picks:
        file = usable.get(pick.card.name)
        cached = file is None and (bool(network) or needs_no_download(pick.card))
        chosen.append(
            ChosenBackbone(
                name=pick.card.name,
                kind=pick.kind,
                reason=pick.reason,
                weights="given folder" if file else "hub's cache" if cached else "hub",
                sha256=file.sha256 if file else "",
                recognised=file.by if file else "",
                fits=file.others if file else (),
                ms=measured.speeds[pick.card.name].ms if measured else None,
            )
        )
    return chosen


def _make_specs(chosen: Sequence[ChosenBackbone], files: Mapping[str, Path]) -> tuple[BackboneSpec, ...]:
    return tuple(BackboneSpec(name=each.name, file=files[each.sha256] if each.sha256 else None) for each in chosen)


def _say_rule(shortlist: Shortlist, measured: Measured | None, *, from_folder: bool, network: str) -> str:
    limit = f" {say_limit(measured)}" if measured else ""
    folder = " Weights of the given folder come before all others." if from_folder else ""
    here = f" Only candidates whose weights are on this machine take part: {network}." if network else ""
    return shortlist.rule + limit + folder + here


def _say_not_chosen(eligible: bool, candidates: int) -> str:
    if eligible:
        return f"it is not among the first {candidates}: --candidates takes more"
    return "it does not meet the conditions, or shares its weights with a smaller input size"


def _say_none_here(network: str, wanted: Wanted) -> str:
    meets = " that meet the conditions" if wanted != Wanted() else ""
    why = "offline mode does not allow a download" if network == "offline" else network
    return (
        f"No weights{meets} are on this machine, and {why}: give a folder that has some with --weights FOLDER, or run "
        f"once with a connection; {OFFER}."
    )
