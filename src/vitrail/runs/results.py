"""results.json: every printed number of a run, machine-readable (docs/formats.md, docs/reference/results.schema.json).

The types below join those of the packages that made the numbers; pydantic writes and reads them as they are.
Numbers are plain floats in SI units or fractions in [0, 1].
"""

from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import StringConstraints, TypeAdapter, ValidationError

from vitrail.backbones import Card
from vitrail.backbones.engines import EngineTrial
from vitrail.candidates.automatic import AutomaticChoice
from vitrail.candidates.deck import Departure
from vitrail.candidates.decoding import Decoding
from vitrail.candidates.held_race import HeldRace
from vitrail.candidates.options import BenchOptions
from vitrail.candidates.parity import Parity
from vitrail.core.bounded import MOST_JSON, read_bounded
from vitrail.core.errors import RunError, UsageError
from vitrail.core.machine import Machine, Threads
from vitrail.core.printable import make_printable
from vitrail.core.progress import Phase
from vitrail.data import NearPair, SetAside
from vitrail.evaluation import (
    ClassMetrics,
    ClassShares,
    Conditions,
    Contamination,
    Decision,
    Metrics,
    Pair,
    RefusalCheck,
    RetrainedPair,
    Retraining,
    WinnersCurse,
)
from vitrail.search import CurvePoint, FewShot, LabelCurve, Seeded, SplitSpread, Trial
from vitrail.statistics.calibration_error import ReliabilityBin
from vitrail.statistics.intervals import Interval

SCHEMA_VERSION: Literal[1] = 1
LARGEST = 2.0**63  # of all numbers of a run: bytes, parameters, seconds
SHOWN_BACKBONES = 4  # in a line that stands for the results


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSummary:
    """What was benchmarked on. `counts` maps a split's name to the number of examples of each class.

    `near_pairs` are the near-duplicates, by id (data.parquet has their paths); `leaked` the test ids that have one
    in train or val, which only a given split leaves there. `slices` are the further columns by whose values accuracy is
    shown.
    """

    name: str
    fingerprint: str
    classes: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    set_aside: tuple[SetAside, ...]
    duplicates: dict[str, int]
    warnings: tuple[str, ...]
    near_pairs: tuple[NearPair, ...]
    leaked: tuple[str, ...]
    slices: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSummary:
    """How the split was made, and how often these test images were opened with different choices, in any run folder.

    `first_opened` is the date of the first time. Both are as the ledger of this computer had them when the run ended.
    """

    how: str
    seed: int
    fractions: tuple[float, float, float]
    fingerprint: str
    test_openings: int
    first_opened: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSummary:
    """What the search tried and chose; every trial is in search/<backbone>.parquet.

    `pooling` says which features the head takes. `curve` is of the winner if it is a softmax head, else of the best
    one, epoch by epoch; `temperature` was fitted on out-of-fold probabilities. `seeds` has the winner under several
    seeds, if training it is stochastic; `splits` has it on other splits of train and val (splits/<backbone>.parquet has
    the predictions), and is None if it was not fitted on any. `few_shot` says what a few images are worth, on val;
    `label_curves` say what more images are worth, over the folds of train and val (subsets/<backbone>.parquet has the
    predictions). `ended_early` says that a time budget ended the search: elsewhere the same budget may end it after
    more trials or fewer. `streamed` says that the features did not fit in memory: logistic heads alone were fitted, on
    rows read from disk, and the temperature on val. `notes` are sentences on what was not done in the search, and why.
    """

    trials: int
    seconds: float
    winner: Trial
    temperature: float
    curve: tuple[CurvePoint, ...]
    ended_early: bool
    user_s: float
    seeds: tuple[Seeded, ...]
    splits: SplitSpread | None
    few_shot: tuple[FewShot, ...]
    label_curves: tuple[LabelCurve, ...]
    pooling: str
    streamed: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneCost:
    """What the features of this run's images cost when they were computed, now or in an earlier run.

    `forward_s` is time in the network, `decode_s` time spent reading and resizing images, summed over threads, and
    making grey copies of them where there were none.
    `images_per_s` is of the forward pass. `cached` is the fraction of images whose features were there already.
    """

    images: int
    forward_s: float
    decode_s: float
    user_s: float
    images_per_s: float
    gmacs: float
    cached: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneResult:
    """One backbone: its card, how it ran, its cost, the choice of the search and the results on the test.

    `name` is the value of `-b`, with +recipe under a second recipe. `departures` say how a run of the deck's recipe
    differs from the deck, or may.

    `trial` has the figures that engine and precision were chosen by; None if they were given, or not measured because
    there were few images. `ranges` is the digest of the images that int8 took its ranges from, "" for other precisions;
    `parity` compares a reduced precision with float32 on this run's images, and is None for float32. `decoding`
    compares a reduced decode with a whole one, and is None if none was tried; `card.preprocessing.decode` says which
    ran. `threads` are those of the pass. `top1_without_leaked` is the accuracy without the test images of
    `data.leaked`; None if there are none or no others. `retraining` is None if the search
    fitted no parts of train and val. `conditions` say how accuracy depends on where images come from.
    """

    name: str
    card: Card
    weights_sha256: str
    engine: str
    precision: str
    feature_key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]  # names a folder of the cache
    cost: BackboneCost
    search: SearchSummary
    test: Metrics
    per_class: tuple[ClassMetrics, ...]
    contamination: Contamination
    refusal: RefusalCheck
    reliability: tuple[ReliabilityBin, ...]
    retraining: Retraining | None
    conditions: Conditions
    device: str
    threads: Threads
    trial: EngineTrial | None
    ranges: str
    parity: Parity | None
    decoding: Decoding | None
    top1_without_leaked: Interval | None
    recipe: str
    departures: tuple[Departure, ...]

    def __repr__(self) -> str:
        top1 = self.test.top1
        return make_printable(f"<BackboneResult of {self.name}: top-1 {top1.value:.1%} on {top1.n:,} test images>")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunCost:
    """The cost of this command: wall seconds, CPU seconds in user mode and in decoding; peak memory in bytes.

    `parts` are seconds of the wall by phase, and with `other_s` they are `wall_s`. Within "features" images are decoded
    and run through the networks at the same time. `starts` is how often the run was started: if more than once, these
    are the costs of the last start alone, which did what was left.
    """

    wall_s: float
    parts: dict[Phase, float]
    other_s: float
    user_s: float
    decode_s: float
    peak_rss_bytes: int
    starts: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """The whole of results.json.

    `winner` is the best backbone by the metric that decides, corrected for having been chosen; None if there is only
    one backbone. `retrained` are the pairs over draws of training images as well. `shares` compare the classes of test
    and training images; None unless the test was given. `requested` are the backbones as they were named, with the
    digest of a given file; `race` says which of them took part in the test, and is None if all did.
    """

    schema_version: Literal[1]  # SCHEMA_VERSION
    vitrail_version: str
    created: str
    command: str
    options: BenchOptions
    requested: tuple[str, ...]
    data: DataSummary
    split: SplitSummary
    backbones: tuple[BackboneResult, ...]
    pairs: tuple[Pair, ...]
    retrained: tuple[RetrainedPair, ...]
    winner: WinnersCurse | None
    shares: ClassShares | None
    decision: Decision
    cost: RunCost
    machine: Machine
    automatic: AutomaticChoice | None = None
    race: HeldRace | None = None

    def __repr__(self) -> str:
        names = ", ".join(result.name for result in self.backbones[:SHOWN_BACKBONES])
        more = f" and {len(self.backbones) - SHOWN_BACKBONES} more" if len(self.backbones) > SHOWN_BACKBONES else ""
        return make_printable(
            f"<Results on {self.data.name} of {names}{more}: {self.decision.choose} chosen, {self.created}>"
        )


_RESULTS = TypeAdapter(Results)


def results_to_json(results: Results) -> bytes:
    """The document, indented, in UTF-8."""
    return _RESULTS.dump_json(results, indent=2) + b"\n"


def results_schema() -> dict[str, Any]:
    """The JSON Schema of results.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | _RESULTS.json_schema()


def read_results(path: Path) -> Results:
    """Read results.json.

    Raises:
        RunError: it is missing or damaged, or was written by another version.
    """
    try:
        content = read_bounded(path, MOST_JSON)
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror or error}). Give the folder of a finished run, one with a "
            "results.json."
        ) from error
    try:
        results = _RESULTS.validate_json(content)
    except (ValidationError, UsageError) as error:  # options check themselves and raise a UsageError
        reason = _first_fault(error) if isinstance(error, ValidationError) else f"options: {str(error).rstrip('.')}"
        raise RunError(_say_not_ours(path, reason)) from error
    fault = _unknown_name(results) or _impossible_number(results)
    if fault:
        raise RunError(_say_not_ours(path, fault))
    return results


def _say_not_ours(path: Path, reason: str) -> str:
    return (
        f"{path} is not a results.json of schema version {SCHEMA_VERSION} (this is Vitrail {_own_version()}). "
        f"It is damaged or was written by another version: {reason}."
    )


def _unknown_name(results: Results) -> str | None:
    """A place that names a backbone which the run does not have; None if there is none."""
    names = [result.name for result in results.backbones]
    if len(set(names)) < len(names):
        return "backbones: two have the same name"
    named = {
        "decision.choose": [results.decision.choose],
        "decision.losses": list(results.decision.losses),
        "pairs": [name for pair in results.pairs for name in (pair.a, pair.b)],
        "winner": [results.winner.name] if results.winner else [],
        "race.outcome.finalists": list(results.race.outcome.finalists) if results.race else [],
    }
    unknown = ((place, name) for place, found in named.items() for name in found if name not in names)
    return next((f"{place}: there is no backbone {name!r}" for place, name in unknown), None)


def _impossible_number(results: Results) -> str | None:
    """Name a number that is not finite, or larger than any of a run; None if there is none."""
    waiting: list[Any] = [results]
    while waiting:
        value = waiting.pop()
        if isinstance(value, int | float):
            if not abs(value) <= LARGEST:  # so is no NaN
                return f"{value!r:.20} is not a number of a run"
        elif isinstance(value, tuple):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif is_dataclass(value):
            waiting.extend(getattr(value, name) for name in value.__dataclass_fields__)
    return None


def _own_version() -> str:
    from importlib.metadata import version

    return version("vitrail")


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
