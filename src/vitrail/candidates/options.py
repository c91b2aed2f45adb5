"""The options of a benchmark, and the backbones that were named for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from vitrail.backbones import BackboneSpec, EngineRequest, find_card, parse_spec
from vitrail.candidates.decoding import DECODES
from vitrail.candidates.recipes import DEFAULT, check_recipes
from vitrail.candidates.shortlist import ShortlistOptions
from vitrail.core.errors import UsageError
from vitrail.data import SplitOptions
from vitrail.search import TuneOptions
from vitrail.statistics.metrics import DecideBy, fault_of_decide_by
from vitrail.statistics.paired import fault_of_level_or_margin


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchOptions:
    """Everything that may change an answer. `margin` and `level` are fractions.

    `decide_by` is the accuracy on the test images that decides: "top1", or "balanced" for the mean over classes. Heads
    are chosen on val by `search.metric` all the same.
    `decode` says how large JPEGs are decoded: "exact", "fast", or "auto" for what `candidates/decoding.py` finds.
    With `near_duplicates` copies of an image are searched for and kept on one side of the split. `slices` are further
    columns of the manifest, for accuracy by value; if empty, `data/columns.py` chooses. `shortlist` is None unless
    conditions were given for candidates that nobody names.
    """

    split: SplitOptions = field(default_factory=SplitOptions)
    search: TuneOptions = field(default_factory=TuneOptions)
    engine: str = "auto"
    precision: str = "auto"
    decode: str = "auto"
    margin: float = 0.01
    level: float = 0.95
    decide_by: DecideBy = "top1"
    max_pixels: int = 100_000_000
    near_duplicates: bool = True
    recipes: tuple[str, ...] = (DEFAULT,)
    slices: tuple[str, ...] = ()
    shortlist: ShortlistOptions | None = None
    seed: int = 0

    @property
    def engine_request(self) -> EngineRequest:
        """What shall run the backbones."""
        return EngineRequest(engine=self.engine, precision=self.precision)

    def __post_init__(self) -> None:
        check_recipes(self.recipes)
        if self.decode not in DECODES:
            raise UsageError(f"There is no decode {self.decode!r}: choose {', '.join(DECODES)}.")
        fault = fault_of_level_or_margin(self.level, self.margin) or fault_of_decide_by(self.decide_by)
        if fault:
            raise UsageError(fault)
        if self.max_pixels < 1:
            raise UsageError(
                f"A limit of {self.max_pixels:,} pixels cannot be used: allow at least 1; 100 million is usual."
            )


def parse_specs(backbones: Sequence[str]) -> list[BackboneSpec]:
    """The backbones that were named.

    Raises:
        UsageError: one is named twice, or a name is not in the catalogue.
    """
    specs = [parse_spec(text) for text in backbones]
    twice = {spec.name for spec in specs if [other.name for other in specs].count(spec.name) > 1}
    if twice:
        raise UsageError(f"The backbone {min(twice)} was given twice; each name can take part once.")
    for spec in specs:
        if not spec.is_adapted:
            find_card(spec.name)  # a misspelt name is found before any image is read
    return specs
