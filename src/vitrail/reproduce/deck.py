"""The deck's experiment: both networks under its recipe, without its equalising, and under the recipe we recommend.

It is one benchmark like any other, with one opening of the test labels for all entries.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vitrail.benchmark import bench
from vitrail.candidates import BenchOptions
from vitrail.candidates.recipes import DECK, DECK_NO_EQUALISE, DEFAULT
from vitrail.core.errors import UsageError
from vitrail.core.resources import Resources
from vitrail.runs import RunRecord

# Keras's ResNet50 is on no hub; these are the nearest weights that are: ImageNet-1k alone, trained as in the paper.
BACKBONES = ("resnet50.tv_in1k", "vit_small_patch16_224.augreg_in21k_ft_in1k")
RECIPES = (DEFAULT, DECK, DECK_NO_EQUALISE)
FRACTIONS = (0.8, 0.1, 0.1)  # the deck tested on a tenth of the images; how it divided the others is not known
HOW_TO_GET_DOGS = (
    "Say where Stanford Dogs is: --data FOLDER. Download images.tar (757 MB) from "
    "http://vision.stanford.edu/aditya86/ImageNetDogs/ and give the archive, or the folder Images in it, which has one "
    "folder for each of the 120 breeds."
)


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
        data: as `bench` takes it; a given split is kept, else a tenth of the images is the test.
        backbones: as `bench` takes them; empty for networks of the deck's kinds.
        out: the run folder; None for runs/<data>-<8 digits>.
        options: of the benchmark; the recipes are those of the experiment.
        resources: what may be used.
        command: the command that was typed, kept in the results.

    Raises:
        UsageError: no data are given, or backbones or options do not fit together.
    """
    if data is None:
        raise UsageError(HOW_TO_GET_DOGS)
    options = replace(options, recipes=RECIPES, split=replace(options.split, fractions=FRACTIONS))
    return bench(data, backbones or BACKBONES, out=out, options=options, resources=resources, command=command)
