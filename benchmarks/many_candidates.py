"""A race of many candidates: memory and networks alive do not grow with their number.

    python -m benchmarks.many_candidates [--few N] [--many N]  (extra openvino and ../shared; 20 GB below --folder)

The flowers of ../shared, the real weights there, and networks of the catalogue with random weights: the four of about
ViT-B's size with the fewest parameters, and then the smallest ones. A race of few candidates and one of many run in
processes of their own, with empty caches and the engine openvino in float32. Memory is the highest resident memory of
the process; a network is alive from its start until Python has freed it.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from safetensors.torch import save_file

from benchmarks.results import machine_line, write_results
from benchmarks.whole_runs import FILES, FLOWERS, SHARED
from vitrail.backbones import Backbone, Card
from vitrail.backbones.build import build_net
from vitrail.backbones.catalogue import find_card, load_catalogue
from vitrail.candidates import BenchOptions, hold_race, parse_specs
from vitrail.core.resources import Resources
from vitrail.data import load, make_split, open_data

LARGE, LARGE_PARAMETERS = 4, 85_000_000


def choose_cards(count: int) -> list[Card]:
    """The cards of the real weights, four large ones, and the smallest others."""
    real = [find_card(name) for name in FILES]
    others = sorted(load_catalogue().values(), key=lambda card: card.parameters)
    others = [card for card in others if card.repository]
    large = [card for card in others if card.parameters >= LARGE_PARAMETERS][:LARGE]
    small = [card for card in others if card not in real and card not in large]
    return [*real, *large, *small][:count]


def give_weights(card: Card, folder: Path) -> Path:
    """The real weights of a card, or random ones, written once."""
    if card.name in FILES:
        return SHARED / "weights" / f"{FILES[card.name]}.safetensors"
    path = folder / f"{card.name}.safetensors"
    if not path.exists():
        torch.manual_seed(0)
        save_file(build_net(card, classes=1000).state_dict(), path)
    return path


class Watch:
    """The most networks that were alive at once."""

    def __init__(self) -> None:
        self.networks = 0
        self._alive: list[weakref.ref[Any]] = []
        start = Backbone.start

        def start_and_watch(backbone: Backbone, **options: Any) -> Any:
            engine = start(backbone, **options)
            self._alive = [alive for alive in self._alive if alive() is not None] + [weakref.ref(engine)]
            self.networks = max(self.networks, len(self._alive))
            return engine

        mock.patch.object(Backbone, "start", start_and_watch).start()


def race_once(count: int, folder: Path) -> None:
    """Hold one race in this process and print what it took."""
    specs = parse_specs([f"{card.name}={give_weights(card, folder)}" for card in choose_cards(count)])
    resources = Resources(offline=True)
    dataset, split, _ = make_split(load(open_data(FLOWERS, resources), resources=resources))
    options, watch, begun = BenchOptions(engine="openvino", precision="fp32"), Watch(), time.perf_counter()
    held = hold_race(specs, dataset, split, options, resources=resources)
    assert held is not None
    print(
        json.dumps(
            {
                "candidates": count,
                "memory": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                "networks": watch.networks,
                "seconds": time.perf_counter() - begun,
                "looks": [[look.images, len(look.accuracy)] for look in held.outcome.looks],
                "finalists": held.outcome.finalists,
                "gmacs": sum(runner.gmacs for runner in held.candidates),
            }
        )
    )


def main() -> None:
    """Hold both races and keep the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--few", type=int, default=8)
    parser.add_argument("--many", type=int, default=80)
    parser.add_argument("--folder", type=Path, help="for weights and caches; a temporary one by default")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        race_once(arguments.one, arguments.folder)
        return
    with tempfile.TemporaryDirectory(prefix="vitrail-many-") as temporary:
        folder = arguments.folder or Path(temporary)
        races = []
        for count in (arguments.few, arguments.many):
            command = [sys.executable, "-m", "benchmarks.many_candidates", "--one", str(count), "--folder", str(folder)]
            with tempfile.TemporaryDirectory(dir=folder) as own:
                environment = os.environ | {"VITRAIL_CACHE": f"{own}/cache", "VITRAIL_CONFIG": f"{own}/config"}
                done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            printed = done.stdout
            print(printed, flush=True)
            races.append(json.loads(printed.splitlines()[-1]))
    lines = [
        "| candidates | GMACs an image, all of them | highest memory, MB | most networks alive | seconds "
        "| looks: images (candidates) | finalists |",
        "| --- " * 7 + "|",
        *(
            f"| {race['candidates']} | {race['gmacs']:.0f} | {race['memory'] / 1e6:,.0f} | {race['networks']} | "
            f"{race['seconds']:.0f} | {', '.join(f'{images} ({racing})' for images, racing in race['looks'])} | "
            f"{', '.join(race['finalists'])} |"
            for race in races
        ),
    ]
    promise, command = (__doc__ or "").splitlines()[0], "    python -m benchmarks.many_candidates"
    write_results("many_candidates", [promise, "", command, "", machine_line(), "", *lines])


if __name__ == "__main__":
    main()
