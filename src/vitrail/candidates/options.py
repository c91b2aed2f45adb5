"""What is asked of a benchmark: options, backbones by name, and these opened under their recipes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vitrail.backbones import BackboneSpec, EngineChoice, find_card, open_backbone, parse_spec
from vitrail.candidates.recipes import DEFAULT, Entry, check_recipes, enter
from vitrail.core.errors import UsageError
from vitrail.core.progress import Progress
from vitrail.data import Dataset, Split, SplitOptions
from vitrail.features import calibrate
from vitrail.search import TuneOptions
from vitrail.statistics.paired import fault_of_level_or_margin

EMBEDDED = ("vit_mini", "resnet_mini")


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchOptions:
    """Everything that may change an answer. `margin` and `level` are fractions.

    `near_duplicates` is whether they are looked for and kept on one side of the split.
    """

    split: SplitOptions = field(default_factory=SplitOptions)
    search: TuneOptions = field(default_factory=TuneOptions)
    engine: str = "auto"
    precision: str = "auto"
    margin: float = 0.01
    level: float = 0.95
    max_pixels: int = 100_000_000
    near_duplicates: bool = True
    recipes: tuple[str, ...] = (DEFAULT,)
    seed: int = 0

    def __post_init__(self) -> None:
        check_recipes(self.recipes)
        fault = fault_of_level_or_margin(self.level, self.margin)
        if fault:
            raise UsageError(fault)
        if self.max_pixels < 1:
            raise UsageError(
                f"At most {self.max_pixels:,} pixels an image make no sense: allow at least 1; 100 million is usual."
            )


def chosen_specs(data: str | Path | None, backbones: Sequence[str]) -> list[BackboneSpec]:
    """The backbones that were asked for; UsageError where there are none, one is there twice or nobody knows it."""
    if not backbones and data is not None:
        raise UsageError(
            f"Say which backbones to compare on {data}: -b NAME, once for each, such as "
            "-b vit_small_patch16_224.augreg_in21k_ft_in1k -b resnet50.a1_in1k. `vitrail backbones` lists them."
        )
    specs = [parse_spec(text) for text in backbones or EMBEDDED]
    twice = {spec.name for spec in specs if [other.name for other in specs].count(spec.name) > 1}
    if twice:
        raise UsageError(f"The backbone {min(twice)} was given twice; each name can take part once.")
    for spec in specs:
        if not spec.is_adapted:
            find_card(spec.name)  # a misspelt name is found before any image is read
    return specs


def open_all(
    specs: Sequence[BackboneSpec],
    dataset: Dataset,
    split: Split,
    options: BenchOptions,
    *,
    offline: bool,
    progress: Progress,
    engine: EngineChoice | None = None,
) -> list[Entry]:
    """Every backbone under every recipe, calibrated on the train split where its precision asks for it.

    Args:
        specs: what was given to `-b`.
        dataset: the examples.
        split: theirs.
        options: those of the benchmark.
        offline: never use the network.
        progress: hears of downloads.
        engine: what runs them where that is not this machine, which settles `options.engine` where None.

    Returns:
        Them, recipe by recipe.
    """
    asked = (options.engine, options.precision) if engine is None else ("auto", "auto")
    opened = [
        open_backbone(spec, engine=asked[0], precision=asked[1], offline=offline, progress=progress) for spec in specs
    ]
    if engine is not None:
        opened = [replace(one, engine=engine) for one in opened]
    return [
        replace(entry, backbone=calibrate(entry.backbone, dataset, split.train, max_pixels=options.max_pixels))
        for entry in enter(opened, options.recipes)
    ]
