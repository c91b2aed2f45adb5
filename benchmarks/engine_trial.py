"""The trial that chooses an engine: what it measures, chooses and costs, alone and beside a busy process on each core.

Needs the images and weights in ../shared. Beside each choice stands what the clock says of long passes over images in
memory, which is what the trial, some seconds of CPU time, must foresee.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np

from benchmarks.busy import busy_cores
from benchmarks.report import DEIT_TI, RESNET18, RESNET50, VIT_TI, Page, pictures, spread, weights
from vitrail.backbones import Backbone, EngineRequest, open_backbone, to_pixels
from vitrail.backbones.engine_trial import PARITY_COSINE, pick, try_engines
from vitrail.backbones.engines import EngineTrial, list_engines
from vitrail.core.machine import let_waiting_threads_sleep, usable_cores
from vitrail.core.progress import Silent
from vitrail.data import decode

IMAGES, REPEATS, TRIALS = 64, 3, 3
CORES = usable_cores()


def main(*names: str) -> None:
    """Measure, and write the tables beside this file."""
    let_waiting_threads_sleep()
    page = Page(__doc__.split("\n", 1)[0] if __doc__ else "", "benchmarks.engine_trial")
    page.say(f"Clock: median of {REPEATS} passes over {IMAGES} dogs, with least and most, {CORES} threads.")
    page.say(f"Trial: images a second by CPU time; a cosine below {PARITY_COSINE} would be refused.", "")
    page.head("backbone", "engine", "images/s, clock", "images/s, trial", "trial beside busy cores", "least cosine")
    costs: list[str] = []
    for name in names or (VIT_TI, DEIT_TI, RESNET18, RESNET50):
        costs += measure(page, name)
    page.say("", *costs)
    page.write("engine_trial")


def measure(page: Page, name: str) -> list[str]:
    """The rows of one network, and what its trials cost."""
    backbone = open_backbone(weights(name, WORK), progress=Silent())
    choices = list_engines(EngineRequest())
    alone = [trial(backbone) for _ in range(TRIALS)]
    with busy_cores(CORES):
        busy = [trial(backbone) for _ in range(TRIALS)]
    for place, choice in enumerate(choices):
        row = alone[0].tried[place]
        page.row(
            name,
            f"{choice.name} {choice.precision}",
            rate(replace(backbone, engine=choice)),
            *(spread([each.tried[place].images_per_s or 0.0 for each in trials]) for trials in (alone, busy)),
            row.fault or f"{row.cosine:.5f}",
        )
    return [
        f"- {name}, {how}: chose {', '.join(chosen(each) for each in trials)}; the first trial took "
        f"{trials[0].seconds:.1f} s, {note} the others {', '.join(f'{each.seconds:.1f}' for each in trials[1:])} s."
        for how, trials, note in (
            ("alone", alone, "with the conversion of the model,"),
            ("beside a busy process on each core", busy, ""),
        )
    ]


def trial(backbone: Backbone) -> EngineTrial:
    """A trial of everything that this machine has."""
    return try_engines(backbone, list_engines(EngineRequest()), threads=CORES)[1]


def chosen(done: EngineTrial) -> str:
    """The choice of a trial."""
    engine = done.tried[pick(done.tried)]
    return f"{engine.name} {engine.precision}"


def rate(backbone: Backbone) -> str:
    """Images a second by the clock."""
    images = [decode(path.read_bytes(), max_pixels=10**8) for path in pictures("stanford_dogs_224", IMAGES)]
    pixel_BHWC = np.stack([to_pixels(image, backbone.card.preprocessing) for image in images])
    engine = backbone.start(threads=CORES)
    engine(pixel_BHWC)
    rates = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        engine(pixel_BHWC)
        rates.append(IMAGES / (time.perf_counter() - begun))
    return spread(rates)


WORK = Path(mkdtemp(prefix="vitrail-engine-trial-"))

if __name__ == "__main__":
    with TemporaryDirectory(prefix="vitrail-cache-") as cache:
        os.environ["VITRAIL_CACHE"] = cache  # models are converted in the first trial, as at the first use of a network
        main(*sys.argv[1:])
