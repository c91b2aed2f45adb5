"""The deck's experiment: both networks under its recipe, without its equalising, and under the recipe we recommend.

It is one benchmark like any other, with one opening of the test labels for all entries.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vitrail.benchmark import bench
from vitrail.candidates import BenchOptions
from vitrail.candidates.recipes import DECK, DECK_NO_EQUALISE, DEFAULT
from vitrail.core.resources import Resources
from vitrail.runs import RunRecord

# Keras's ResNet50 is on no hub; these are the nearest weights that are: ImageNet-1k alone, trained as in the paper.
BACKBONES = ("resnet50.tv_in1k", "vit_small_patch16_224.augreg_in21k_ft_in1k")
RECIPES = (DEFAULT, DECK, DECK_NO_EQUALISE)
FRACTIONS = (0.8, 0.1, 0.1)  # the deck tested on a tenth of the images; how it divided the others is not known
DOGS = "dataset:stanford-dogs"


def reproduce_deck(
    data: str | Path | None,
    backbones: Sequence[str] = (),
    *,
    out: Path | None,
    options: BenchOptions,
    resources: Resources,
    command: str,
) -> RunRecord:
    """Run the deck's experiment.

    Args:
        data: as `bench` takes it; None for Stanford Dogs, which is fetched. A given split is kept, else a tenth of the
            images is the test.
        backbones: as `bench` takes them; empty for networks of the deck's kinds.
        out: the run folder; None for runs/<data>-<8 digits>.
        options: of the benchmark; the recipes are those of the experiment.
        resources: what may be used.
        command: the command that was typed, kept in the results.

    Raises:
        UsageError: backbones or options do not fit together.
    """
    options = replace(options, recipes=RECIPES, split=replace(options.split, fractions=FRACTIONS))
    return bench(
        DOGS if data is None else data,
        backbones or BACKBONES,
        out=out,
        options=options,
        resources=resources,
        command=command,
    )
